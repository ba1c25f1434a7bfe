"""A picture of one result of run.py, written as SVG: texts a second as bars, and latency as a line from p50 to p99 with a
dot at p95, on a logarithmic scale, by number of clients. Needs nothing."""
import math

import plot
from plot import text

WIDTH, HEIGHT = 860, 380
TOP, PLOT_H, PLOT_W = 56, 250, 350
LEFTS = (60, 490)
COLORS = ("#d1495b", "#00798c", "#edae49", "#5c6b73")


def columns(result, left):
    """Yields (clients, [(x, width) of each server])."""
    group = PLOT_W / len(result["clients"])
    width = (group - 30) / len(result["servers"])
    for g, clients in enumerate(result["clients"]):
        yield clients, [(left + g * group + 15 + i * width, width - 3) for i in range(len(result["servers"]))]


def grid(out, left, y, label):
    out.append(f'<line x1="{left}" x2="{left + PLOT_W}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e3e3e3"/>')
    out.append(text(left - 6, y + 4, label, "end", 11, "#666"))


def throughput(out, result):
    import page

    left = LEFTS[0]
    top = 1.05 * max(page.median(s, n, "texts_s") for s in result["servers"] for n in result["clients"])
    step = plot.nice_step(top)
    y_of = lambda v: TOP + PLOT_H * (1 - v / top)
    for i in range(int(top / step) + 1):
        grid(out, left, y_of(i * step), f"{i * step:,.0f}")
    for clients, places in columns(result, left):
        for (x, width), server, color in zip(places, result["servers"], COLORS):
            value = page.median(server, clients, "texts_s")
            out.append(f'<rect x="{x:.1f}" y="{y_of(value):.1f}" width="{width:.1f}" height="{TOP + PLOT_H - y_of(value):.1f}" '
                       f'fill="{color}"><title>{page.name_of(server)}: {value:,.1f}</title></rect>')


def latency(out, result):
    import page

    left = LEFTS[1]
    found = [1000 * page.median(s, n, key) for s in result["servers"] for n in result["clients"] for key in ("p50", "p99")]
    low, high = math.floor(math.log10(min(found))), math.ceil(math.log10(max(found)))
    y_of = lambda ms: TOP + PLOT_H * (1 - (math.log10(ms) - low) / (high - low))
    for power in range(low, high + 1):
        for digit in (1, 2, 5):
            if digit == 1 or power < high:
                grid(out, left, y_of(digit * 10.0 ** power), f"{digit * 10.0 ** power:,g}")
    for clients, places in columns(result, left):
        for (x, width), server, color in zip(places, result["servers"], COLORS):
            p50, p95, p99 = (1000 * page.median(server, clients, key) for key in ("p50", "p95", "p99"))
            x += width / 2
            out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y_of(p50):.1f}" y2="{y_of(p99):.1f}" stroke="{color}" stroke-width="4"/>')
            out.append(f'<circle cx="{x:.1f}" cy="{y_of(p95):.1f}" r="6" fill="{color}"><title>{page.name_of(server)}: p50 {p50:,.1f}, '
                       f'p95 {p95:,.1f}, p99 {p99:,.1f} ms</title></circle>')


def chart(result):
    import page

    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
           text(LEFTS[0], 28, "texts a second", "start", 15, "#111", "600"),
           text(LEFTS[1], 28, "ms to the answer: p50 to p99, dot at p95", "start", 15, "#111", "600")]
    throughput(out, result)
    latency(out, result)
    for left in LEFTS:
        for clients, places in columns(result, left):
            middle = (places[0][0] + places[-1][0] + places[-1][1]) / 2
            out.append(text(middle, TOP + PLOT_H + 18, f"{clients} client{'s' if clients > 1 else ''}", size=11, color="#666"))
    for i, (server, color) in enumerate(zip(result["servers"], COLORS)):
        x = LEFTS[0] + 240 * i
        out.append(f'<rect x="{x}" y="{HEIGHT - 22}" width="12" height="12" fill="{color}"/>')
        out.append(text(x + 18, HEIGHT - 12, page.name_of(server), "start", 12))
    return "\n".join(out) + "\n</svg>\n"
