"""report.html: every number on it is the one of report.json, nothing in it comes from elsewhere, and no text of
others acts as markup. And the errors a site in report.json against onnxruntime."""
import html.parser
import json
import pathlib
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest
import tokenizers
from onnx_graphs import unsaturated

SOURCE = pathlib.Path(__file__).resolve().parents[2]
SET = SOURCE / "tests/golden/retrieval/manpages.jsonl"
HOSTILE = ["</td><script>alert(1)</script>", "a & b < c > d \"e\" 'f'", "<img src=x onerror=alert(1)>", "&lt;b&gt; &amp;",
           "\u05e9\u05dc\u05d5\u05dd \u202e gnp.exe", "tab\tand | pipe", "plain words only"]
VOID = {"meta", "wbr"}


class Page(html.parser.HTMLParser):
    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.tags, self.open, self.numbers, self.data, self.text, self.circles = [], [], [], None, "", 0
        self.feed(text)
        assert not self.open, self.open

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.circles += tag == "circle"
        if tag not in VOID:
            self.open.append(tag)
        if tag == "data":
            self.data = [dict(attributes), ""]

    def handle_startendtag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, (tag, self.getpos())
        if tag == "data":
            self.numbers.append((*self.data[0].values(), self.data[1]))
            self.data = None

    def handle_data(self, data):
        if self.data:
            self.data[1] += data
        if self.open[-1:] != ["style"]:
            self.text += data


@pytest.fixture(scope="module")
def page(octavo, tiny, tmp_path_factory):
    """A build with everything a report can show, from a snapshot and texts that would rather be markup."""
    folder = tmp_path_factory.mktemp("page")
    source = folder / "evil <b>&"
    shutil.copytree(tiny / "bert", source)
    (folder / "texts.jsonl").write_text("".join(json.dumps({"text": t}) + "\n" for t in HOSTILE))
    bench = {"model": "/somewhere/model.int8.onnx", "open_seconds": 0.012345678, "weight_bytes": 12345, "peak_bytes": 123456789,
             "machine": {"kernels": "ref<i>", "threads": 2},
             "lines": [{"name": "1 x 8<u>", "tokens_per_second": 1234.5678, "p50_seconds": 0.0065, "p95_seconds": 0.0071,
                        "share_of_roof": 0.512}]}
    (folder / "bench.json").write_text(json.dumps(bench))
    octavo("build", source, "-o", folder / "out", "--min-cos", "0.2", "--texts", folder / "texts.jsonl", "--retrieval", SET,
           "--speed", folder / "bench.json", "--why", "<script>why</script>")
    return (folder / "out/report.html").read_text(), json.loads((folder / "out/report.json").read_text()), folder


def at(document, pointer):
    for part in pointer.split("/")[1:]:
        document = document[int(part) if isinstance(document, list) else part]
    return document


def test_every_number_is_the_reports(page):
    text, report, _ = page
    numbers = Page(text).numbers
    for pointer, form, shown in numbers:
        value = at(report, pointer)
        if form == "w":
            assert shown == f"{value:,}", pointer
        elif form == "e":
            assert shown == f"{value:.1e}", pointer
        elif "*" in form:
            factor, decimals = form.split("*")
            assert shown == f"{value * float(factor):.{decimals}f}", pointer
        else:
            assert shown == f"{value:.{form}f}", pointer
    pointers = {n[0] for n in numbers}
    # What has to be there.
    for variant in ("smoothed", "vanilla"):
        assert {f"/quality/variants/{variant}/{k}" for k in ("cos_min", "cos_p1", "cos_p5", "cos_p50", "cos_mean")} <= pointers
        assert {f"/quality/variants/{variant}/cosines/{i}" for i in range(len(HOSTILE))} <= pointers
    for i, site in enumerate(report["smoothing"]["sites"]):
        keys = ("alpha", "outlier_before", "outlier_after", "error", "error_vanilla")
        assert {f"/smoothing/sites/{i}/{k}" for k in keys} <= pointers
        assert len(site["channels_before"]) == len(site["channels_after"]) == min(64, site["channels"])
    assert "/retrieval/variants/1/groups/0/ndcg10_change/low" in pointers and "/speed/lines/0/tokens_per_second" in pointers
    for variant in ("fp32", "smoothed", "vanilla"):
        assert {f"/size_parts/{variant}/{part}" for part in ("tables", "linears", "rest")} <= pointers
        assert sum(report["size_parts"][variant].values()) == report["sizes"][variant]
    assert {"/sizes/fp32", "/speed/peak_bytes", "/settings/calibration/tokens"} <= pointers and len(pointers) > 150


def test_parts_are_the_files_tensors(page):
    """tables, linears and the rest against a count in onnx's own reading of the vanilla variant."""
    _, report, folder = page
    graph = onnx.load(folder / "out/model.int8.vanilla.onnx").graph
    size = {i.name: onnx.numpy_helper.to_array(i).nbytes for i in graph.initializer if len(i.dims) == 2}
    parts = report["size_parts"]["vanilla"]
    assert parts["tables"] == sum(size[n] for n in {n.input[0] for n in graph.node if n.op_type == "Gather"} if n in size)
    assert parts["linears"] == sum(size[n] for n in {n.input[1] for n in graph.node if n.op_type == "MatMulInteger"} if n in size)
    assert 0 < parts["linears"] and 0 < parts["tables"] and 0 < parts["rest"]


def test_16_bits_are_on_the_page(octavo, tiny, tmp_path):
    """A build that protects: what the report says of nodes is what the file holds, and the page has every number of it."""
    octavo("build", tiny / "llama", "-o", tmp_path / "out", "--min-cos", "0.2", "--profile", "accurate", "--max-extra-macs", "40%")
    report = json.loads((tmp_path / "out/report.json").read_text())
    text = (tmp_path / "out/report.html").read_text()
    graph = onnx.load(tmp_path / "out/model.int8.onnx").graph
    wide = [n.input[1] for n in graph.node if n.op_type == "MatMulInteger" and n.input[0].endswith("_rows16_quantized")]
    sites = report["protection"]["sites"]
    assert wide and len(report["quantization"]["wide"]) == len(wide)
    assert sorted(n for s in sites if s["bits"] == 16 for n in s["nodes"]) == sorted(report["quantization"]["wide"])
    assert report["quantization"]["extra_macs"] == pytest.approx(report["protection"]["extra_macs"], rel=1e-5)
    assert sum(s["bits"] == 16 for s in report["smoothing"]["sites"]) == sum(s["bits"] == 16 for s in sites)
    parsed = Page(text)
    pointers = {n[0] for n in parsed.numbers}
    for i, site in enumerate(sites):
        if site["bits"] == 16:
            assert {f"/protection/sites/{i}/{key}" for key in ("share", "worth", "bits")} <= pointers
    assert {f"/protection/{v}/{k}" for v in ("narrow", "chosen", "wide") for k in ("cos_min", "cos_p5", "cos_mean")} <= pointers
    assert "/quantization/extra_macs" in pointers and f"{len(wide)} of " in parsed.text
    card = (tmp_path / "out/README.md").read_text()
    assert f"{len(wide)} of {report['quantization']['quantized']} MatMuls" in card


def test_nothing_from_elsewhere_and_nothing_alive(page):
    text, report, _ = page
    parsed = Page(text)
    allowed = {"html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "div", "b", "span", "table", "thead", "tbody",
               "tr", "th", "td", "data", "bdi", "code", "figure", "figcaption", "svg", "line", "text", "path", "circle", "rect",
               "i", "pre", "ul", "li", "wbr"}
    assert {tag for tag, _ in parsed.tags} <= allowed
    for tag, attributes in parsed.tags:
        assert not {a for a in attributes if a.startswith("on") or a in ("src", "href", "style", "xlink:href")}, tag
    assert "url(" not in text and "@import" not in text and "http://" not in text and "https://" not in text
    policy = [a["content"] for tag, a in parsed.tags if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'"]
    for hostile in HOSTILE:
        assert hostile in parsed.text, hostile
    assert "evil <b>&" in parsed.text and "<script>why</script>" in parsed.text and "1 x 8<u>" in parsed.text
    # A tooltip, a row and a dot for each site in the plots.
    assert parsed.circles >= 2 * len(report["smoothing"]["sites"])


def test_again_the_same_bytes(page, octavo):
    text, _, folder = page
    before = {p: p.read_bytes() for p in (folder / "out").iterdir() if p.is_file()}
    octavo("build", folder / "evil <b>&", "-o", folder / "out", "--min-cos", "0.2", "--texts", folder / "texts.jsonl",
           "--retrieval", SET, "--speed", folder / "bench.json", "--why", "<script>why</script>")
    assert {p: p.read_bytes() for p in (folder / "out").iterdir() if p.is_file()} == before


def test_the_card_has_the_table_of_search(page):
    _, report, folder = page
    card = (folder / "out/README.md").read_text()
    group = report["retrieval"]["variants"][1]["groups"][0]
    change = group["ndcg10_change"]
    assert (f"| all | `model.int8.onnx` | {group['ndcg10']:.4f} | {change['mean']:+.4f} ({change['low']:+.4f} to "
            f"{change['high']:+.4f}) | {group['recall10']:.4f} | {group['overlap10']:.4f} |") in card


def test_errors_of_sites_are_onnxruntimes(page, octavo, tmp_path):
    """The vanilla variant, whose float model is that of import."""
    _, report, folder = page
    octavo("import", folder / "evil <b>&", "-o", tmp_path)
    models = {"float": tmp_path / "model.onnx", "int8": folder / "out/model.int8.vanilla.onnx"}
    graph = onnx.load(models["float"]).graph
    tokenizer = tokenizers.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    tokenizer.no_padding()
    encoded = sorted((tokenizer.encode(t) for t in HOSTILE), key=lambda e: len(e.ids))
    chosen = [encoded[i * (len(encoded) - 1) // 3] for i in range(4)]

    def run(file, values):
        model = onnx.load(file)
        model.graph.output.extend(onnx.ValueInfoProto(name=v) for v in values)
        session = onnxruntime.InferenceSession(unsaturated(model))
        feeds = [{i.name: np.array([{"input_ids": e.ids, "attention_mask": e.attention_mask, "token_type_ids": e.type_ids}
                                    [i.name][:64]], np.int64) for i in session.get_inputs()} for e in chosen]
        return [session.run(values, f) for f in feeds]

    for site in report["smoothing"]["sites"]:
        # Smoothing may rename a weight; the MatMuls are those that read the site's input in the original.
        outputs = [n.output[0] for n in graph.node if n.op_type in ("MatMul", "Gemm") and n.input[0] == site["input"]]
        assert outputs
        squares = []
        expected, actual = run(models["float"], outputs), run(models["int8"], outputs)
        for v in range(len(outputs)):
            apart = sum(((a[v].astype(np.float64) - e[v]) ** 2).sum() for a, e in zip(actual, expected))
            squares.append(apart / sum((e[v].astype(np.float64) ** 2).sum() for e in expected))
        assert site["error_vanilla"] == pytest.approx(np.sqrt(np.mean(squares)), rel=0.03), site["input"]


def test_a_file_of_something_else_is_refused(octavo, tiny, tmp_path):
    (tmp_path / "bench.json").write_text('{"lines": []}')
    done = octavo("build", tiny / "bert", "-o", tmp_path / "out", "--speed", tmp_path / "bench.json", check=False)
    assert done.returncode == 3 and "octavo bench --json" in done.stderr
