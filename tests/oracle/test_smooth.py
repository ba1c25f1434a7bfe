"""octavo smooth against onnxruntime and numpy: the function stays, s is the formula, and INT8 gets better."""
import json
import pathlib
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import tokenizers
from onnx import numpy_helper
from onnx_graphs import HAS_VNNI, unsaturated

SOURCE = pathlib.Path(__file__).resolve().parents[2]
GOLDEN = SOURCE / "tests" / "golden"
PROBE = [json.loads(line)["text"] for line in (GOLDEN / "probe" / "texts40.jsonl").read_text().splitlines()]
FEW = ["a b c d e f g h", "the quick brown fox", "12345 67890", "word word word word word word word word word", "?"]


def ids_of(folder, texts):
    tokenizer = tokenizers.Tokenizer.from_file(str(pathlib.Path(folder) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return [np.array([tokenizer.encode(text).ids], np.int64) for text in texts]


class Model:
    """An ONNX file in onnxruntime, one text a run; `extra` are inner values to return as well."""

    def __init__(self, file, extra=()):
        options = ort.SessionOptions()
        options.log_severity_level = 3
        source = str(file)
        if extra or not HAS_VNNI:
            model = onnx.load(file)
            model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in extra)
            source = unsaturated(model)
        self.session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.session.get_inputs()]

    def __call__(self, ids, names=None):
        feeds = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        return self.session.run(names, {name: feeds[name] for name in self.inputs})

    def vectors(self, all_ids, pooling):
        rows = [self(ids)[0][0] for ids in all_ids]
        return np.array([r[-1] if pooling == "last" else r.mean(0) for r in rows], np.float64)


def cosines(a, b):
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)


def relative(a, b):
    return np.abs(a - b).max() / np.abs(b).max()


def smooth(octavo, fp32, out, tokenizer, *more):
    alpha = [] if "per-token-16" in more or "--alpha" in more else ["--alpha", "0.8"]
    done = octavo("smooth", "--fp32", fp32, "--output", out, "--tokenizer", tokenizer, *alpha, *more, "--json")
    return json.loads(done.stdout)


def quantize(octavo, model, out):
    octavo("quantize", model, out, "--per-channel", "--op-types", "MatMul", "--weight-type", "qint8", "--external-data")
    return out


def quality(octavo, fp32, tokenizer, pooling, folder, calibration):
    """The two literal commands; cosines of vanilla and smoothed INT8 to FP32, all run by onnxruntime."""
    smoothed = folder / "model.smoothed.fp32.onnx"
    report = smooth(octavo, fp32, smoothed, tokenizer, *calibration)
    ids = ids_of(tokenizer, PROBE)
    original, same = Model(fp32), Model(smoothed)
    worst = max(relative(same(i)[0], original(i)[0]) for i in ids[::4] + [max(ids, key=np.size)])
    reference = original.vectors(ids, pooling)
    vanilla = cosines(Model(quantize(octavo, fp32, folder / "vanilla.onnx")).vectors(ids, pooling), reference)
    better = cosines(Model(quantize(octavo, smoothed, folder / "int8.onnx")).vectors(ids, pooling), reference)
    print(f"\n{fp32}: FP32 {worst:.1e}; vanilla {vanilla.min():.4f} {vanilla.mean():.5f}; "
          f"smoothed {better.min():.4f} {better.mean():.5f}")
    assert worst < 1e-4
    return vanilla, better, report


@pytest.fixture(scope="session")
def smollm2_onnx(octavo, smollm2, tmp_path_factory):
    folder = tmp_path_factory.mktemp("smollm2")
    octavo("import", smollm2, "-o", folder)
    return folder / "model.onnx"


def test_smollm2(octavo, smollm2_onnx, calibration, tmp_path):
    vanilla, better, report = quality(octavo, smollm2_onnx, smollm2_onnx.parent, "last", tmp_path, calibration)
    assert len(report["sites"]) == 4 * 30 and all(s["refusal"] == "" for s in report["sites"])
    assert vanilla.min() < 0.92
    assert better.min() >= 0.97 and better.mean() >= 0.995


def test_smollm2_with_outliers(octavo, smollm2_onnx, calibration, tmp_path):
    injected = tmp_path / "injected.onnx"
    subprocess.run([sys.executable, SOURCE / "tools" / "inject_outliers.py", smollm2_onnx, injected], check=True)
    ids = ids_of(smollm2_onnx.parent, PROBE[:3])
    original, same = Model(smollm2_onnx), Model(injected)
    assert max(relative(same(i)[0], original(i)[0]) for i in ids) < 1e-4
    del original, same
    vanilla, better, _ = quality(octavo, injected, smollm2_onnx.parent, "last", tmp_path, calibration)
    assert vanilla.min() < 0.7
    assert better.min() >= 0.97 and better.mean() >= 0.995


def weights_of(file):
    return {i.name: numpy_helper.to_array(i) for i in onnx.load(file).graph.initializer if len(i.dims) == 2}


@pytest.mark.parametrize("rotate", [True, False], ids=["rotated", "as_it_was"])
@pytest.mark.parametrize("name", ["qwen3", "llama"])
def test_outliers_are_gone_before_anything_is_rounded(octavo, tiny, tmp_path, name, rotate):
    """Channels of the gains times 60, the function unchanged. A rotation takes gain and weight as their product; without one s
    takes 60^alpha 60^(1 - alpha): what the recipe rounds is the plain model's, for any alpha. So are its vectors, alone and
    compensated, up to the few numbers that a last bit of float32 moves by a step."""
    plain, injected = tmp_path / "plain", tmp_path / "injected.onnx"
    octavo("import", tiny / name, "-o", plain)
    subprocess.run([sys.executable, SOURCE / "tools/inject_outliers.py", plain / "model.onnx", injected], check=True)
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(PROBE[:12]) + "\n")
    moved = max(relative(a, b) for a, b in zip(weights_of(plain / "model.onnx").values(), weights_of(injected).values()))
    assert moved > 0.3
    for alpha in ("0.4", "0.8"):
        made = {}
        for key, fp32 in (("plain", plain / "model.onnx"), ("injected", injected)):
            out = tmp_path / f"{key}-{alpha}.onnx"
            octavo("smooth", "--fp32", fp32, "--output", out, "--tokenizer", plain, "--alpha", alpha, "--calibration", texts,
                   *(["--rotate"] if rotate else []))
            int8 = tmp_path / f"{key}-{alpha}-int8.onnx"
            octavo("quantize", out, int8, "--per-channel", "--activations", "per-token", "--table", "int8", "--compensate", "--tokenizer",
                   plain, "--calibration", texts, "--max-extra-macs", "15%")
            done = octavo("verify", int8, "--tokenizer", plain, "--against", plain / "model.onnx", "--texts", texts, "--json")
            made[key] = (weights_of(out), weights_of(int8), json.loads(done.stdout))
        (before, codes, quality), (after, other_codes, other) = made["plain"], made["injected"]
        assert before.keys() == after.keys()
        assert max(relative(after[w], before[w]) for w in before) < 1e-5
        weights = [w for w in codes if codes[w].dtype == np.int8 and "embed_tokens" not in w]
        assert len(weights) == 14
        assert all(np.abs(codes[w].astype(int) - other_codes[w]).max() <= 1 for w in weights)
        assert np.mean(np.concatenate([(codes[w] != other_codes[w]).ravel() for w in weights])) < 0.002
        for figure in ("cos_min", "cos_p5", "cos_mean"):
            assert abs(other[figure] - quality[figure]) < 0.0005, figure


def test_minilm(octavo, minilm, calibration, tmp_path):
    octavo("import", minilm, "-o", tmp_path / "fp32")
    fp32 = tmp_path / "fp32" / "model.onnx"
    vanilla, better, report = quality(octavo, fp32, fp32.parent, "mean", tmp_path, calibration)
    folded = [s["folded_into"] for s in report["sites"]]
    # Four inputs a layer: qkv and up read a norm that also feeds the residual, down reads a GELU.
    assert len(folded) == 4 * 6 and folded.count("explicit Mul") == 3 * 6
    assert better.mean() > vanilla.mean() and better.mean() >= 0.995 and better.min() >= 0.97


def test_a_searched_alpha_is_folded_with_all_texts(octavo, tiny, tmp_path):
    """7 evaluations are the grid: what is found is one alpha, and the model that of the same number given."""
    octavo("import", tiny / "bert", "-o", tmp_path)
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(PROBE[:12]) + "\n")
    made, alpha = [], ["auto", "--evaluations", "7"]
    for folder in (tmp_path / "searched", tmp_path / "given"):
        folder.mkdir()
        report = smooth(octavo, tmp_path / "model.onnx", folder / "s.onnx", tmp_path, "--calibration", texts, "--alpha", *alpha)
        assert report["calibration"]["texts"] == 12
        assert report["warnings"] == ["calibrated on 12 texts; a hundred or more, short and long, of the kind that the model will "
                                      "read, make a better model"]
        if report["search"]:
            assert report["search"]["texts"] == 6
            alpha = [str(report["search"]["fixed"])]
        made.append([file.read_bytes() for file in sorted(folder.iterdir())])
    assert made[0] == made[1] and len(made[0]) == 2


@pytest.mark.parametrize("file", sorted((GOLDEN / "foreign").glob("*.onnx")), ids=lambda f: f.stem)
def test_foreign(octavo, file, tmp_path):
    """Exports of other tools: the same numbers in onnxruntime, for padding on either side and lengths never seen."""
    kind = file.stem.split("_")[0]
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(FEW))
    out = tmp_path / "smoothed.onnx"
    smooth(octavo, file, out, GOLDEN / "tiny" / kind, "--calibration", texts)
    before, after = Model(file), Model(out)
    random = np.random.default_rng(0)
    for batch, length in [(1, 1), (2, 5), (3, 19)]:
        ids = random.integers(5, 60, (batch, length))
        for side in ("none", "left", "right"):
            mask = np.ones_like(ids)
            if side == "left":
                mask[-1, :length // 2] = 0
            elif side == "right":
                mask[-1, length - length // 2:] = 0
            feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
            a = before.session.run(None, {n: feeds[n] for n in before.inputs})[0]
            b = after.session.run(None, {n: feeds[n] for n in after.inputs})[0]
            assert relative(b[mask > 0], a[mask > 0]) < 1e-4, (batch, length, side)


def steps_and_noise(s, w, energy):
    """What the rounding of s W costs, but for a constant: steps of the columns, noise of the rows."""
    return (np.abs(w * s[:, None]).max(0) ** 2).sum() * (energy / s ** 2).sum()


def cheapest_rounding(x, weights, groups):
    """The minimum over s of steps_and_noise, by Newton-like steps on log s in float64, the maximum as a norm of order 32."""
    squares = x.astype(np.float64) ** 2
    energy = (squares / squares.mean(1, keepdims=True)).mean(0)
    w = np.concatenate(weights, 1).astype(np.float64)
    _, group = np.unique(np.arange(len(energy)) if groups is None else groups, return_inverse=True)
    total = np.bincount(group, energy)
    log_s = np.zeros(len(total))
    for _ in range(400):
        v = (w * np.exp(log_s)[group][:, None]) ** 2
        top = v.max(0)
        part = (v / top) ** 16
        share = np.bincount(group, (part * top * part.sum(0) ** (1 / 16 - 1)).sum(1))
        noise = total / np.exp(2 * log_s)
        log_s += np.clip(np.log(noise / noise.sum()) - np.log(share / share.sum() + 1e-300), -2, 2) / 40
    s = np.exp(log_s)[group]
    return s * np.sqrt((w ** 2).max(0).sum() / ((w * s[:, None]) ** 2).max(0).sum()), w, energy


def formula(x, weights, activations, groups=None, alpha=0.8):
    """s as the paper has it, or as a scale a token wants it; `groups` [channels] numbers those that must share one."""
    if activations == "per-tensor":
        x = np.abs(x.reshape(-1, x.shape[-1])).max(0).astype(np.float64)
        w = np.max([np.abs(w).max(1) for w in weights], 0).astype(np.float64)
    else:
        squares = x.astype(np.float64) ** 2
        x = ((squares / squares.mean(1, keepdims=True)) ** 2).mean(0) ** 0.25
        length = np.sqrt(np.sum([(w.astype(np.float64) ** 2).sum(1) for w in weights], 0))
        w = np.sqrt(length * np.max([np.abs(w).max(1) for w in weights], 0))
    if groups is not None:
        for g in np.unique(groups):
            x[groups == g] = x[groups == g].max()
            w[groups == g] = w[groups == g].max()
    return x ** alpha / w ** (1 - alpha)


@pytest.mark.parametrize("activations", ["per-tensor", "per-token", "per-token-16"])
@pytest.mark.parametrize("name", ["llama", "qwen3", "bert"])
def test_formula(octavo, tiny, name, activations, tmp_path):
    """s read back from the files equals numpy's, from activations that onnxruntime gives."""
    exact = 2e-4 if activations != "per-token-16" else 2e-2  # a search ends somewhere near
    octavo("import", tiny / name, "-o", tmp_path)
    texts = tmp_path / "few.jsonl"
    texts.write_text("\n".join(json.dumps({"text": t}) for t in FEW))
    fp32, out = tmp_path / "model.onnx", tmp_path / "s.onnx"
    report = smooth(octavo, fp32, out, tmp_path, "--calibration", texts, "--factors", activations)
    assert report["alpha"] == (None if activations == "per-token-16" else 0.8)
    config = json.loads((tmp_path / "config.json").read_text())
    before = {i.name: numpy_helper.to_array(i) for i in onnx.load(fp32).graph.initializer}
    smoothed = onnx.load(out)
    after = {i.name: numpy_helper.to_array(i) for i in smoothed.graph.initializer}
    inputs = [site["input"] for site in report["sites"]]
    model = Model(fp32, inputs)
    ids = ids_of(tmp_path, FEW)
    seen = [model(i, inputs) for i in ids]
    assert report["calibration"] == {"texts": len(FEW), "tokens": sum(i.size for i in ids)}
    for n, site in enumerate(report["sites"]):
        x = np.concatenate([run[n].reshape(-1, run[n].shape[-1]) for run in seen])
        groups = None
        if "v_proj" in site["folded_into"]:  # one factor a key/value head, for all query heads that read it
            heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
            width = x.shape[-1] // heads
            groups = np.array([h // (heads // kv) * width + d for h in range(heads) for d in range(width)])
        weights = [before[w] for w in site["weights"]]
        if activations == "per-token-16":
            expected, w, energy = cheapest_rounding(x, weights, groups)
            # What counts: no other s costs less. A column of the weights may have been divided, which is one factor for all.
            own = after[site["weights"][0]][:, 0] / before[site["weights"][0]][:, 0]
            assert steps_and_noise(own, w, energy) < 1.003 * steps_and_noise(expected, w, energy)
        else:
            expected = formula(x, weights, activations, groups)
        assert (site["alpha"] is None) == (activations == "per-token-16")
        for w in site["weights"]:
            assert np.all(before[w] != 0)
            # Its columns may have been divided for the next group: then by one number a column.
            ratio = after[w] / before[w] / expected[:, None]
            np.testing.assert_allclose(ratio, np.broadcast_to(ratio[:1], ratio.shape), rtol=2 * exact)
        if site["refusal"]:
            mul = [m for m in smoothed.graph.node if m.op_type == "Mul" and m.input[0] == site["input"]
                   and m.name.endswith("_smooth_mul")]
            assert len(mul) == 1
            np.testing.assert_allclose(1 / after[mul[0].input[1]], expected, rtol=exact)
        elif site["folded_into"].startswith("gain "):
            gain = site["folded_into"].removeprefix("gain ")
            np.testing.assert_allclose(before[gain] / after[gain], expected, rtol=exact)
        np.testing.assert_allclose([site["scale_min"], site["scale_max"]], [expected.min(), expected.max()], rtol=exact)
        most = np.abs(x).max(0)
        np.testing.assert_allclose(site["outlier_before"], most.max() / np.sort(most)[most.size // 2], rtol=2e-4)


@pytest.mark.torch
@pytest.mark.parametrize("exporter", ["legacy", "dynamo"])
def test_torch_export_of_smollm2(octavo, smollm2, smollm2_onnx, calibration, exporter, tmp_path):
    fp32 = tmp_path / "model.onnx"
    subprocess.run([sys.executable, SOURCE / "tools" / "export_torch.py", smollm2, fp32, "--exporter", exporter],
                   check=True)
    vanilla, better, report = quality(octavo, fp32, smollm2_onnx.parent, "last", tmp_path, calibration)
    assert len(report["sites"]) == 4 * 30 and all(s["refusal"] == "" for s in report["sites"])
    assert vanilla.min() < 0.92
    assert better.min() >= 0.97 and better.mean() >= 0.995


@pytest.mark.torch
@pytest.mark.parametrize("exporter", ["legacy", "dynamo"])
def test_torch_export_of_minilm(octavo, minilm, calibration, exporter, tmp_path):
    fp32 = tmp_path / "model.onnx"
    subprocess.run([sys.executable, SOURCE / "tools" / "export_torch.py", minilm, fp32, "--exporter", exporter],
                   check=True)
    vanilla, better, _ = quality(octavo, fp32, minilm, "mean", tmp_path, calibration)
    assert better.mean() > vanilla.mean() and better.mean() >= 0.995 and better.min() >= 0.97


def test_a_rotated_stream(octavo, tiny, tmp_path):
    """The same function for onnxruntime; by numpy: an orthogonal matrix, and the constants that it is in."""
    octavo("import", tiny / "qwen3", "-o", tmp_path / "fp32")
    (tmp_path / "few.txt").write_text("\n".join(FEW) + "\n")
    done = octavo("smooth", "--fp32", tmp_path / "fp32/model.onnx", "--output", tmp_path / "r.onnx", "--tokenizer", tmp_path / "fp32",
                  "--alpha", "0.4", "--rotate", "--calibration", tmp_path / "few.txt", "--json")
    before, after = ({i.name: numpy_helper.to_array(i).astype(np.float64) for i in onnx.load(f).graph.initializer}
                     for f in (tmp_path / "fp32/model.onnx", tmp_path / "r.onnx"))
    back = after["residual_rotation.back"]
    assert json.loads(done.stdout)["rotated_width"] == len(back)
    assert np.abs(back @ back.T - np.eye(len(back))).max() < 1e-6
    assert np.abs(back).max() < 2 / np.sqrt(len(back))
    prefix = next(name for name in before if name.endswith("embed_tokens.weight")).removesuffix("embed_tokens.weight")
    table = prefix + "embed_tokens.weight"
    assert relative(after[table] @ back, before[table]) < 1e-6
    for layer in (0, 1):
        at = f"{prefix}layers.{layer}."
        # Smoothing put 1/s where the gain was, and s into the weights' rows.
        gain = {k: after[at + k] for k in ("input_layernorm.weight", "post_attention_layernorm.weight")}
        for name, norm in [("self_attn.q_proj.weight.T", "input_layernorm.weight"), ("mlp.gate_proj.weight.T", "post_attention_layernorm.weight")]:
            was = before[at + norm][:, None] * before[at + name]
            assert relative(back.T @ (gain[norm][:, None] * after[at + name]), was) < 1e-5, name
    for ids in ids_of(tmp_path / "fp32", FEW):
        assert relative(Model(tmp_path / "r.onnx")(ids)[0], Model(tmp_path / "fp32/model.onnx")(ids)[0]) < 1e-5
    refused = octavo("smooth", "--fp32", GOLDEN / "foreign/bert_dynamo_opset21.onnx", "--output", tmp_path / "no.onnx", "--tokenizer",
                     tiny / "bert", "--rotate", check=False)
    assert refused.returncode == 3 and "cannot be rotated" in refused.stderr and not (tmp_path / "no.onnx").exists()
