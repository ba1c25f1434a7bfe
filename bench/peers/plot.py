"""A picture of one result of run.py, written as SVG: tokens a second of single texts by length, one line an engine (its
fastest variant), and bars for the batches. Needs nothing."""
import math

WIDTH, HEIGHT = 860, 400
LEFT, TOP, PLOT_W, PLOT_H = 64, 40, 430, 300
BARS_LEFT = 560
COLORS = {"octavo": "#d1495b", "onnxruntime": "#00798c", "openvino": "#edae49", "llama_cpp": "#5c6b73", "torch": "#8e6c8a"}


def best_variants(result):
    """engine -> {workload: (tokens/s, variant)}, the fastest variant at each workload."""
    import report

    found = {}
    for engine in result["engines"]:
        for work, tokens in result["tokens"].items():
            value = report.rate(engine, work, tokens)
            if value and value > found.setdefault(engine["engine"], {}).get(work, (0, ""))[0]:
                found[engine["engine"]][work] = (value, engine["variant"])
    return found


def text(x, y, content, anchor="middle", size=12, color="#333", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}" '
            f'font-weight="{weight}">{content}</text>')


def nice_step(largest):
    raw = largest / 5
    power = 10 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= raw)


def chart(result):
    import report

    values = best_variants(result)
    singles = [w for w in result["tokens"] if w.startswith("1 x ")]
    batches = [w for w in ("32 x 128", "mixed") if w in result["tokens"]]
    top = max((v for works in values.values() for w, (v, _) in works.items() if w != "check"), default=1) * 1.05
    step = nice_step(top)
    y_of = lambda v: TOP + PLOT_H * (1 - v / top)
    x_of = lambda i: LEFT + 24 + (PLOT_W - 48) * i / max(1, len(singles) - 1)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
           text(LEFT, 22, report.TITLES.get(result["model"], result["model"]) + ": tokens a second", "start", 15, "#111", "600")]
    for i in range(int(top / step) + 1):
        y = y_of(i * step)
        for left, right in ((LEFT, LEFT + PLOT_W), (BARS_LEFT - 20, WIDTH - 20)):
            out.append(f'<line x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e3e3e3"/>')
        out.append(text(LEFT - 6, y + 4, f"{i * step:,.0f}", "end", 11, "#666"))
    for i, work in enumerate(singles):
        out.append(text(x_of(i), TOP + PLOT_H + 18, work.removeprefix("1 x "), size=11, color="#666"))
    out.append(text(LEFT + PLOT_W / 2, TOP + PLOT_H + 36, "tokens of a single text", size=11, color="#666"))
    order = [e for e in COLORS if e in values]
    for name in reversed(order):  # octavo last: on top
        points = [(x_of(i), y_of(values[name][w][0])) for i, w in enumerate(singles) if w in values[name]]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        width = 3 if name == "octavo" else 2
        out.append(f'<polyline points="{path}" fill="none" stroke="{COLORS[name]}" stroke-width="{width}"/>')
        out += [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{width + 0.5}" fill="{COLORS[name]}"/>' for x, y in points]
    group = (WIDTH - 20 - BARS_LEFT) / max(1, len(batches))
    bar = (group - 20) / max(1, len(order))
    for g, work in enumerate(batches):
        for i, name in enumerate(order):
            if work not in values[name]:
                continue
            value, variant = values[name][work]
            x, y = BARS_LEFT + g * group + i * bar, y_of(value)
            out.append(f'<rect x="{x:.1f}" y="{y:.1f}" width="{bar - 2:.1f}" height="{TOP + PLOT_H - y:.1f}" '
                       f'fill="{COLORS[name]}"><title>{report.NAMES[name]} {variant}: {value:,.0f}</title></rect>')
        out.append(text(BARS_LEFT + g * group + (group - 20) / 2, TOP + PLOT_H + 18, work, size=11, color="#666"))
    for i, name in enumerate(order):
        x = LEFT + 130 * i
        out.append(f'<rect x="{x}" y="{HEIGHT - 16}" width="12" height="12" fill="{COLORS[name]}"/>')
        out.append(text(x + 18, HEIGHT - 6, report.NAMES[name], "start", 12))
    return "\n".join(out) + "\n</svg>\n"
