#!/usr/bin/env python3
"""Draws what tools/measure_front.py wrote as SVG: how far vectors are from the original's, against speed and against
size. Needs nothing.

    python3 tools/plot_front.py front-smollm2.json -o docs/quantization-front-smollm2.svg"""
import argparse
import json
import math
import pathlib

WIDTH, HEIGHT = 860, 430
TOP, PLOT_H = 64, 290
PANELS = ((64, 380), (490, 350))  # left edge and width
COLORS = {"front": "#d1495b", "compat": "#edae49", "vanilla": "#00798c", "llama_cpp": "#5c6b73", "fp32": "#8e6c8a"}
NAMES = {"front": "Octavo, a scale a token", "compat": "Octavo, compat", "vanilla": "quantize_dynamic", "llama_cpp": "llama.cpp Q8_0",
         "fp32": "Octavo, FP32"}
FLOOR = 1e-6  # what reports round cosines to


def text(x, y, content, anchor="middle", size=12, color="#333", weight="normal"):
    return (f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" fill="{color}" '
            f'font-weight="{weight}">{content}</text>')


def nice_step(largest):
    raw = largest / 4
    power = 10 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= raw)


def place_labels(points, left, right):
    """(x, y, name) -> (x, y, anchor) of labels that do not lie on each other, right of their dots where there is room."""
    taken, out = [], []
    for x, y, name in points:
        width = 6.4 * len(name)
        tries = [(dx, dy) for dy in (-7, 4, 17, -20, 30, -33, 43) for dx in (8, -8)]
        for dx, dy in tries:
            begin = x + dx if dx > 0 else x + dx - width
            box = (begin, y + dy - 10, begin + width, y + dy + 2)
            free = all(box[2] < t[0] or box[0] > t[2] or box[3] < t[1] or box[1] > t[3] for t in taken)
            if free and box[0] >= left and box[2] <= right and box[1] > TOP - 4:
                break
        taken.append(box)
        out.append((x + dx, y + dy, "start" if dx > 0 else "end"))
    return out


def panel(points, left, width, value, x_label, out):
    worst = max(1 - p["cos_min"] for p in points)
    best = min(max(1 - p["cos_mean"], FLOOR) for p in points if p["kind"] != "fp32")
    low, high = math.floor(math.log10(best) - 0.2), math.log10(worst) + 0.12
    y_of = lambda cosine: TOP + PLOT_H * (math.log10(max(1 - cosine, 10 ** low)) - low) / (high - low)
    most = max(value(p) for p in points) * 1.1
    x_of = lambda v: left + width * v / most
    for e in range(low, math.floor(high) + 1):
        y = TOP + PLOT_H * (e - low) / (high - low)
        out.append(f'<line x1="{left}" x2="{left + width}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e3e3e3"/>')
        out.append(text(left - 6, y + 4, f"{10.0 ** e:g}", "end", 11, "#666"))
    step = nice_step(most)
    for i in range(int(most / step) + 1):
        out.append(text(x_of(i * step), TOP + PLOT_H + 18, f"{i * step:,.0f}", size=11, color="#666"))
    out.append(text(left + width / 2, TOP + PLOT_H + 36, x_label, size=11, color="#666"))
    front = sorted((p for p in points if p["kind"] == "front"), key=lambda p: p["extra_macs"])
    path = " ".join(f"{x_of(value(p)):.1f},{y_of(p['cos_mean']):.1f}" for p in front)
    out.append(f'<polyline points="{path}" fill="none" stroke="{COLORS["front"]}" stroke-width="2.5"/>')
    dots = []
    for p in points:
        x, color = x_of(value(p)), COLORS[p["kind"]]
        # FP32 is the import: what it is from the original is below what is drawn.
        mean, worst_y, p5 = y_of(p["cos_mean"]), y_of(p["cos_min"]), y_of(p["cos_p5"])
        if p["kind"] != "fp32":
            out.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{mean:.1f}" y2="{worst_y:.1f}" stroke="{color}" stroke-width="1.5" opacity="0.5"/>')
            out += [f'<line x1="{x - w:.1f}" x2="{x + w:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{color}" stroke-width="1.5"/>'
                    for y, w in ((worst_y, 5), (p5, 3))]
        out.append(f'<circle cx="{x:.1f}" cy="{mean:.1f}" r="4" fill="{color}"><title>{p["name"]}: cos_min {p["cos_min"]:.4f}, p5 '
                   f'{p["cos_p5"]:.4f}, mean {p["cos_mean"]:.5f}, {value(p):,.0f} {x_label}</title></circle>')
        dots.append((x, mean, p["name"]))
    return list(zip(points, place_labels(dots, left, left + width)))


def chart(result):
    points = result["points"]
    probe = max(p["texts"] for p in points)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="system-ui, sans-serif">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
           text(64, 24, result["title"] + ": distance to the original", "start", 15, "#111", "600"),
           text(64, 44, f"1 - cosine over {probe} texts, higher on the page is closer; dot: mean, ticks: 5th percentile and worst text",
                "start", 11, "#666")]
    machine = result["machine"]
    speed = lambda p: p["tokens_per_second"]
    size = lambda p: p["bytes"] / 1e6
    axes = ((speed, f"tokens a second ({result['workload']}, {machine['threads']} threads, {machine['kernels']})"), (size, "MB"))
    for (left, width), (value, label) in zip(PANELS, axes):
        for p, (x, y, anchor) in panel(points, left, width, value, label, out):
            # The budgets of the front have one size; the others are in the key.
            if p["kind"] == "front" and not (value is size and p["name"].startswith("+")):
                out.append(text(x, y, p["name"], anchor, 11, COLORS[p["kind"]]))
    kinds = [k for k in COLORS if any(p["kind"] == k for p in points)]
    for i, kind in enumerate(kinds):
        x = 64 + 175 * i
        out.append(f'<rect x="{x}" y="{HEIGHT - 18}" width="12" height="12" fill="{COLORS[kind]}"/>')
        out.append(text(x + 17, HEIGHT - 8, NAMES[kind], "start", 12))
    return "\n".join(out) + "\n</svg>\n"


def table(result):
    """The same as Markdown."""
    rows = ["| | extra int8 products | MB | tokens/s | cos_min | p5 | mean |", "|---|---|---|---|---|---|---|"]
    for p in result["points"]:
        extra = f"{100 * p['extra_macs']:.1f}%" if p["kind"] == "front" else ""
        name = f"Octavo, {p['name']}" if p["kind"] in ("front", "compat", "fp32") else NAMES[p["kind"]]
        rows.append(f"| {name} | {extra} | {p['bytes'] / 1e6:.1f} | {p['tokens_per_second']:,.0f} | {p['cos_min']:.5f} | "
                    f"{p['cos_p5']:.5f} | {p['cos_mean']:.5f} |")
    return "\n".join(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("front", type=pathlib.Path)
    parser.add_argument("-o", "--output", type=pathlib.Path, help="SVG")
    args = parser.parse_args()
    result = json.loads(args.front.read_text())
    if args.output:
        args.output.write_text(chart(result))
    print(table(result))


if __name__ == "__main__":
    main()
