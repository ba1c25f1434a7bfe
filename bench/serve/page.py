#!/usr/bin/env python3
"""What run.py measured, as Markdown between two marks of a page, and as a picture beside it.

    page.py PAGE.md RESULT.json

Text outside the marks stays as it is. Needs nothing.
"""
import json
import pathlib
import statistics
import sys

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "peers"))
import chart
import report

KEY = "load"
GOAL = 5  # percent of the server's CPU time that HTTP and JSON may take


def name_of(server):
    if server["kind"] == "octavo":
        return "octavo serve"
    wait = f"waits {server['wait_ms']:g} ms" if server["wait_ms"] else "no wait"
    return f"Python, {wait}, " + (f"groups of {server['group']}" if server["group"] > 1 else "one by one")


def values(server, clients, key):
    return [window[key] for window in server["windows"][str(clients)]]


def median(server, clients, key):
    return statistics.median(values(server, clients, key))


def cell(server, clients, key, scale=1.0):
    found = values(server, clients, key)
    many = f" +-{100 * report.spread(found):.0f}%" if len(found) > 1 else ""
    number = scale * statistics.median(found)
    return (f"{number:,.0f}" if number >= 100 else f"{number:.1f}") + many


def ratio_row(result, ours, peers, clients):
    """Octavo over the best of the others at each column; a time is better when it is smaller."""
    row = [f"**{clients}: octavo over the best other**"]
    for key in ("texts_s", "p50", "p95", "p99"):
        own, others = median(ours, clients, key), [median(s, clients, key) for s in peers]
        ratio = own / max(others) if key == "texts_s" else min(others) / own
        row.append(f"**{ratio:.2f}x**" + ("" if ratio >= 1 else " (behind)"))
    return row


def load_table(result):
    ours = next((s for s in result["servers"] if s["kind"] == "octavo"), None)
    peers = [s for s in result["servers"] if s is not ours]
    rows = []
    for clients in result["clients"]:
        rows += [[f"{clients}: {name_of(s)}", cell(s, clients, "texts_s")] +
                 [cell(s, clients, key, 1000) for key in ("p50", "p95", "p99")] for s in result["servers"]]
        if ours and peers:
            rows.append(ratio_row(result, ours, peers, clients))
    return report.table(["clients", "texts/s", "p50, ms", "p95, ms", "p99, ms"], rows)


def cpu_ms(server, clients, key="server_cpu_s"):
    return [1000 * window[key] / window["texts"] for window in server["windows"][str(clients)]]


def cpu_lines(result):
    most = max(result["clients"])
    embed = [1000 * s for s in result["embed_cpu_s"]]
    rows = [[name_of(s), f"{statistics.median(cpu_ms(s, most)):.2f} +-{100 * report.spread(cpu_ms(s, most)):.0f}%",
             f"{s['peak'] / 1e6:,.0f}"] for s in result["servers"]]
    rows.append(["`octavo embed`, the same texts", f"{statistics.median(embed):.2f} +-{100 * report.spread(embed):.0f}%", "-"])
    lines = [report.table([f"at {most} clients", "CPU ms a text", "peak MB"], rows)]
    ours = next((s for s in result["servers"] if s["kind"] == "octavo"), None)
    if ours:
        others = 100 * median(ours, most, "other_threads")
        least = min(result["clients"])
        alone = f" (at {least}: {100 * median(ours, least, 'other_threads'):.1f}%)" if least != most else ""
        pairs = [100 * (1 - e / c) for c, e in zip(cpu_ms(ours, most), embed)]
        lines.append(
            f"**HTTP and JSON at {most} clients** (goal: under {GOAL}% of the server's CPU time), measured in two ways. All threads of "
            f"`octavo serve` but the {result['threads']} that run the model (they read, parse, tokenize, write) take **{others:.1f}%** of its "
            f"CPU time{alone}: an upper bound, as tokenizing is in it. User and system seconds a text, less those of `octavo embed` (the "
            f"slope between 1 and many times the same texts: no start in it), are {statistics.median(pairs):+.1f}% of the server's, in "
            f"single rounds {min(pairs):+.1f}% to {max(pairs):+.1f}%: that difference has the noise of two runs in it.")
    return "\n\n".join(lines)


def facts(result):
    m = result["machine"]
    load = [1000 * w["load_cpu_s"] / w["texts"] for s in result["servers"] for n in s["windows"] for w in s["windows"][n]]
    shares = [w["load_cpu_s"] / result["seconds"] for s in result["servers"] for n in s["windows"] for w in s["windows"][n]]
    idle = max(s["idle_cpu_s"] / sum(len(w) for w in s["windows"].values()) for s in result["servers"])
    return "\n".join([
        f"{m['cpu']}, {m['cpus']} CPUs ({', '.join(m['isa'])}), {m['memory_gb']} GB; {result['threads']} threads a server, load "
        f"{m['load_before']} before the run; {result['rounds']} rounds of {result['seconds']:g} s a cell, medians, +- is half the range of "
        f"the rounds.{' ' + result['note'] if result['note'] else ''}",
        f"One text a request, {result['texts']} texts of {result['mixed'][0]} to {result['mixed'][1]} tokens ({result['tokens'] / result['texts']:.0f} on "
        "average) in a shuffled order that is the same for all; vectors as base64. The lowest cosine between two servers' vectors "
        f"of a text is {result['cosine']:.4f}.",
        f"The clients are one process on the same CPUs: {statistics.median(load):.2f} ms of CPU a text, at most {100 * max(shares):.0f}% of one "
        f"CPU; servers that were not asked used {1000 * idle:.0f} ms of CPU in a window.",
        "Versions: " + ", ".join(f"{k} {v}" for k, v in sorted(result["versions"].items())) + "."])


def block(result, picture=None):
    parts = [facts(result), f"![throughput and latency by clients]({picture})" if picture else "", load_table(result), cpu_lines(result)]
    return f"<!-- {KEY} begin: made by bench/serve/run.py -->\n" + "\n\n".join(p for p in parts if p) + f"\n<!-- {KEY} end -->\n"


def update(file, result):
    picture = file.with_name(f"{file.stem}-{KEY}.svg")
    picture.write_text(chart.chart(result))
    file.write_text(report.put(file.read_text() if file.exists() else "", KEY, block(result, picture.name)))


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    update(pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(sys.argv[2]).read_text()))
