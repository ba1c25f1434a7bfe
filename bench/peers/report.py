#!/usr/bin/env python3
"""What run.py measured, as Markdown between two marks of a page, and as a picture beside it.

    report.py PAGE.md RESULT.json...

A mark that the page lacks is added at its end; text outside the marks stays as it is. Needs nothing.
"""
import json
import pathlib
import statistics
import sys

import plot

NAMES = {"octavo": "Octavo", "onnxruntime": "onnxruntime", "openvino": "OpenVINO", "llama_cpp": "llama.cpp", "torch": "PyTorch"}
TITLES = {"qwen3": "Qwen3-0.6B's shape, random weights", "smollm2": "SmolLM2-135M", "minilm": "all-MiniLM-L6-v2"}


# How many times as fast as whom Octavo's INT8 is meant to be, on a CPU with AVX-512 VNNI.
GOALS = {
    ("qwen3", "best peer"): {"1 x 8": 1.5, "1 x 32": 1.3, "1 x 128": 1.3, "1 x 512": 1.5, "1 x 2048": 1.8, "1 x 8192": 2.0,
                             "32 x 128": 1.4, "mixed": 1.5},
    ("qwen3", "onnxruntime INT8"): {"1 x 8": 1.9, "1 x 128": 1.6, "1 x 512": 2.2, "1 x 2048": 3.0, "mixed": 2.2},
    ("qwen3", "llama.cpp Q8_0"): {"1 x 128": 6.0},
    ("smollm2", "best peer"): {"1 x 8": 1.0, "1 x 32": 1.0, "1 x 128": 1.0, "32 x 128": 1.0, "mixed": 1.5},
    ("minilm", "best peer"): {"1 x 8": 1.0, "1 x 32": 1.0, "1 x 128": 1.0, "32 x 128": 1.0, "mixed": 1.5},
}
HEAD = """# Performance

Octavo beside other engines: same token ids, same threads, taking turns in one run. How it is measured, and how to repeat it:
[bench/peers](../bench/peers/README.md). Cells are tokens a second, the median over the rounds; +- is half the range of the rounds.
Of several ways to hand an engine a batch the fastest counts. "Octavo / best peer" compares with the fastest of all others at that
workload.
"""


def label(engine):
    return f"{NAMES[engine['engine']]} {engine['variant']}"


def rounds_of(engine, workload):
    """-> (each round's median seconds, arrangement) of the fastest arrangement, or None."""
    runs = engine["runs"].get(workload, {})
    each = {a: [statistics.median(times) for times in rounds] for a, rounds in runs.items()}
    best = min(each, key=lambda a: statistics.median(each[a]), default=None)
    return (each[best], best) if best else None


def rate(engine, workload, tokens):
    found = rounds_of(engine, workload)
    return tokens / statistics.median(found[0]) if found else None


def spread(seconds):
    """Half the range over the rounds, as a share of the median."""
    return (max(seconds) - min(seconds)) / 2 / statistics.median(seconds)


def best_peer(result, workload):
    rates = [(rate(e, workload, result["tokens"][workload]), e) for e in result["engines"] if e["engine"] != "octavo"]
    return max(((r, label(e)) for r, e in rates if r), default=None)


def workloads_of(result):
    return [w for w in result["tokens"] if w != "check"]


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def cell(result, engine, workload):
    if found := rounds_of(engine, workload):
        tokens = result["tokens"][workload]
        many = f" +-{100 * spread(found[0]):.0f}%" if len(found[0]) > 1 else ""
        return f"{tokens / statistics.median(found[0]):,.0f}{many}"
    return engine["skipped"].get(workload, "-")


def ratio_rows(result, ours):
    """Octavo's INT8 over the best peer, and over those that a goal names."""
    works, rows = workloads_of(result), []
    goals = {} if result["isa"] == "avx2" else {who: g for (model, who), g in GOALS.items() if model == result["model"]}
    for who in dict.fromkeys(["best peer", *goals]):
        def peer(work):
            if who == "best peer":
                return (best_peer(result, work) or [None])[0]
            return next((rate(e, work, result["tokens"][work]) for e in result["engines"] if label(e) == who), None)

        cells = []
        for work in works:
            own, other = rate(ours, work, result["tokens"][work]), peer(work)
            goal = goals.get(who, {}).get(work)
            cells.append((f"**{own / other:.2f}x**" if own and other else "-") + (f" (goal {goal:g}x)" if goal else ""))
        rows.append([f"**Octavo INT8 / {who}**", *cells])
    return rows


def speed_table(result):
    works = workloads_of(result)
    rows = [[label(e)] + [cell(result, e, w) for w in works] for e in result["engines"] if "error" not in e]
    ours = next((e for e in result["engines"] if label(e) == "Octavo INT8"), None)
    return table(["tokens/s", *works], rows + (ratio_rows(result, ours) if ours else []))


def roof_tables(result):
    """What `octavo bench` said in the same run: how far from the machine's limits, and where the time goes."""
    bench = result.get("bench")
    if not bench:
        return ""
    m = bench["machine"]
    lines = bench["lines"]
    steps = {}
    for step in bench.get("profile", []):
        steps.setdefault(step["step"], [0.0, 0])
        steps[step["step"]][0] += step["seconds"]
        steps[step["step"]][1] += step["macs"]
    parts = [
        f"`octavo bench`: {m['kernels']} kernels, peak {m['int8_macs_per_second'] / 1e9:,.0f} GMAC/s INT8, "
        f"{m['bytes_per_second'] / 1e9:.1f} GB/s from memory. The roof is all multiply-adds of the linear layers at that peak, or "
        "reading their weights once.",
        table(["", *(x["name"] for x in lines)],
              [["tokens/s", *(f"{x['tokens_per_second']:,.0f}" for x in lines)],
               ["p95 over p50", *(f"{x['p95_seconds'] / x['p50_seconds']:.2f}" for x in lines)],
               ["of the roof", *(f"{100 * x['share_of_roof']:.0f}%" for x in lines)]])]
    if steps:
        total = bench["profile_seconds"]
        parts += [f"Where the {1000 * total:.1f} ms of one text of {result['profile_tokens']} tokens go:",
                  table(["step", "ms", "share", "GMAC/s"],
                        [[name, f"{1000 * seconds:.2f}", f"{100 * seconds / total:.0f}%",
                          f"{macs / seconds / 1e9:,.0f}" if macs else "-"] for name, (seconds, macs) in steps.items()])]
    return "\n\n".join(parts)


def memory_table(result):
    def megabytes(engine, key, work):
        return f"{engine[key][work] / 1e6:,.0f}" if work in engine[key] else "-"

    def seconds(values):
        return f"{statistics.median(values):.2f}" if values else "-"

    measured = workloads_of(result)
    singles = [w for w in measured if w.startswith("1 x")] or measured
    short = "1 x 512" if "1 x 512" in singles else singles[-1]
    rows = []
    for engine in result["engines"]:
        if "error" in engine:
            continue
        last = max(engine["peak"].values(), default=0)
        cosine = engine.get("cosine")
        rows.append([label(engine), seconds(engine["load_s"]), seconds(engine["first_s"]),
                     megabytes(engine, "peak", "loaded"), megabytes(engine, "peak", short), f"{last / 1e6:,.0f}",
                     f"{cosine[0]:.5f}" if cosine else "-"])
    return table(["", "load, s", "start to first vector, s", "peak MB, loaded", f"after {short}", "after all",
                  "cosine to FP32, lowest"], rows)


def arrangement_lines(result):
    lines = []
    for work in (w for w, texts in result["texts"].items() if texts > 1 and w != "check"):
        chosen = [f"{label(e)}: {found[1]}" for e in result["engines"]
                  if e["engine"] != "octavo" and (found := rounds_of(e, work))]
        if chosen:
            lines.append(f"Fastest arrangement for {work}: " + "; ".join(chosen) + ".")
    return "\n".join(lines)


def facts(result):
    m = result["machine"]
    versions = {}
    for engine in result["engines"]:
        versions |= engine["versions"]
    errors = [f"{label(e)} did not run: {e['error']}" for e in result["engines"] if "error" in e]
    kept = " Everything that can be is kept to AVX2." if result["isa"] == "avx2" else ""
    work = "from strings to normalised vectors, tokenization included" if result["input"] == "texts" else "from token ids to pooled vectors"
    mixed = (f" Mixed: {result['texts']['mixed']} texts of {result['mixed'][0]} to {result['mixed'][1]} tokens."
             if "mixed" in result["texts"] else "")
    firsts = [f"{label(e)}'s very first start took {e['first_start']['load_s']:.1f} s and {e['first_start']['peak'] / 1e6:,.0f} MB "
              "to pack the weights; the table has the later ones." for e in result["engines"] if "first_start" in e]
    return "\n".join([
        f"{m['cpu']}, {m['cpus']} CPUs ({', '.join(m['isa'])}), {m['memory_gb']} GB; {result['threads']} threads, "
        f"rounds: {result['rounds']}, load {m['load_before']} before the run; {work}.{kept}{mixed}",
        "Versions: " + ", ".join(f"{k} {v}" for k, v in sorted(versions.items())) + ".", *firsts, *errors])


def key_of(result):
    return "-".join(p for p in (result["model"], "texts" if result["input"] == "texts" else "", result["isa"]) if p)


def tables(result, picture=None):
    key = key_of(result)
    title = TITLES.get(result["model"], result["model"]) + (", texts in" if result["input"] == "texts" else "") + (
        {"avx2": ", AVX2 only", "amx": ", on a CPU with AMX", "": ""}[result["isa"]])
    parts = [f"## {title}", facts(result)]
    if picture:
        parts.append(f"![tokens a second by length]({picture})")
    parts += [p for p in (speed_table(result), arrangement_lines(result), memory_table(result), roof_tables(result)) if p]
    return f"<!-- {key} begin: made by bench/peers/run.py -->\n" + "\n\n".join(parts) + f"\n<!-- {key} end -->\n"


def put(text, key, block):
    """The page's text with this block in place of the one between the marks of `key`, or at its end."""
    begin, end = text.find(f"<!-- {key} begin"), text.find(f"<!-- {key} end -->")
    if begin >= 0 and end > begin:
        return text[:begin] + block.rstrip("\n") + text[end + len(f"<!-- {key} end -->"):]
    return text.rstrip("\n") + "\n\n" + block


def update(page, result):
    key = key_of(result)
    picture = page.with_name(f"{page.stem}-{key}.svg")
    picture.write_text(plot.chart(result))
    page.write_text(put(page.read_text() if page.exists() else HEAD, key, tables(result, picture.name)))


if __name__ == "__main__":
    for name in sys.argv[2:]:
        update(pathlib.Path(sys.argv[1]), json.loads(pathlib.Path(name).read_text()))
