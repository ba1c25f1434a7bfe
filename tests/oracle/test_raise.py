"""Raising of files that other programs write: what onnxruntime's quantizers and optimizer make of torch's exports and of
our imports, and live exports with PyTorch. oracle_raise_model compares each raised graph, run in double precision, with
the plain executor; in float the two must agree, in INT8 the executor's one scale an activation is what is left."""
import json
import os
import pathlib
import shutil
import subprocess
import sys

import onnx
import onnxruntime
import pytest
from onnxruntime.quantization import QuantType, quantize_dynamic

SOURCE = pathlib.Path(__file__).resolve().parents[2]
FOREIGN = SOURCE / "tests/golden/foreign"
EXPORTS = ["bert_dynamo_opset21", "bert_legacy_opset11", "llama_dynamo_opset18", "qwen3_legacy_opset14"]
# Of the tiny snapshots, two layers each.
BERT = {"Embed": 1, "FusedAttention": 2, "LayerNormalization": 5, "Gelu": 2, "Add": 4, "positions": 1}
DECODER = {"Embed": 1, "FusedAttention": 2, "RMSNorm": 5, "SwiGLU": 2, "Add": 4, "positions": 2}


def raised(file):
    done = subprocess.run([os.environ["OCTAVO_RAISE_MODEL"], file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def expect(file, name, kind="float", tolerance=1e-5):
    got = raised(file)
    assert got.pop("difference") <= tolerance
    wanted = {**BERT, f"Linear {kind}": 12} if name.startswith("bert") else {**DECODER, f"Linear {kind}": 14}
    assert got == wanted


def optimize(source, out, level):
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.optimized_model_filepath = str(out)
    onnxruntime.InferenceSession(source, options, providers=["CPUExecutionProvider"])


@pytest.mark.parametrize("level", ["BASIC", "EXTENDED"])
@pytest.mark.parametrize("name", EXPORTS)
def test_optimized_by_onnxruntime(tmp_path, name, level):
    optimize(FOREIGN / f"{name}.onnx", tmp_path / "o.onnx", getattr(onnxruntime.GraphOptimizationLevel, f"ORT_ENABLE_{level}"))
    expect(tmp_path / "o.onnx", name)


@pytest.mark.parametrize("options", [{}, {"per_channel": True, "reduce_range": True, "weight_type": QuantType.QUInt8}],
                         ids=["default", "per_channel_uint8"])
@pytest.mark.parametrize("name", EXPORTS)
def test_quantized_by_onnxruntime(tmp_path, name, options):
    """Tables are quantized too, and shared with nothing; the optimizer then gives each reader its DequantizeLinear."""
    quantize_dynamic(FOREIGN / f"{name}.onnx", tmp_path / "q.onnx", **options)
    expect(tmp_path / "q.onnx", name, "int8", 0.15)
    optimize(tmp_path / "q.onnx", tmp_path / "o.onnx", onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED)
    expect(tmp_path / "o.onnx", name, "int8", 0.15)


@pytest.mark.torch  # the quantizer wants onnx_ir, which comes with onnxscript
@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("name", EXPORTS)
def test_weights_in_blocks(tmp_path, name, bits):
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
    quantizer = MatMulNBitsQuantizer(onnx.load(FOREIGN / f"{name}.onnx"), bits=bits, block_size=16)
    quantizer.process()
    quantizer.model.save_model_to_file(str(tmp_path / "n.onnx"))
    expect(tmp_path / "n.onnx", name, "nbits")


@pytest.mark.parametrize("name", ["minilm", "smollm2"])
def test_real_imports(octavo, request, tmp_path, name):
    octavo("import", request.getfixturevalue(name), "-o", tmp_path)
    octavo("quantize", tmp_path / "model.onnx", tmp_path / "int8.onnx", "--per-channel", "--op-types", "MatMul",
           "--weight-type", "qint8", "--external-data")
    layers = {"minilm": 6, "smollm2": 30}[name]
    linears = layers * {"minilm": 6, "smollm2": 7}[name]
    for file, kind, tolerance in (("model.onnx", "float", 2e-5), ("int8.onnx", "int8", 0.3)):
        got = raised(tmp_path / file)
        assert got["difference"] <= tolerance
        assert got["FusedAttention"] == layers and got[f"Linear {kind}"] == linears


@pytest.mark.torch
@pytest.mark.parametrize("exporter, attention", [("legacy", "eager"), ("legacy", "sdpa"), ("dynamo", "eager"), ("dynamo", "sdpa")])
@pytest.mark.parametrize("name", ["bert", "llama", "mistral", "qwen2", "qwen3"])
def test_exported_by_torch(tiny, tmp_path, name, exporter, attention):
    subprocess.run([sys.executable, SOURCE / "tools/export_torch.py", tiny / name, tmp_path / "m.onnx", "--exporter",
                    exporter, "--attention", attention], check=True, capture_output=True)
    expect(tmp_path / "m.onnx", name)


@pytest.mark.torch
@pytest.mark.parametrize("name, snapshot", [("bert_dynamo_opset21", "bert"), ("llama_dynamo_opset18", "llama")])
def test_half_precision_runs_fused(octavo, tiny, tmp_path, name, snapshot):
    from onnxruntime.transformers.float16 import convert_float_to_float16
    model = convert_float_to_float16(onnx.load(FOREIGN / f"{name}.onnx"), keep_io_types=True)
    shutil.copytree(tiny / snapshot, tmp_path / "m", ignore=shutil.ignore_patterns("*.safetensors"))
    onnx.save(model, tmp_path / "m/model.onnx")
    done = octavo("embed", tmp_path / "m", "--explain", "--no-cache", "hello world, one two three")
    assert "runs as 2 fused layers" in done.stderr


@pytest.mark.torch
def test_fused_by_the_transformers_optimizer(tiny, tmp_path):
    """EmbedLayerNormalization, Attention with packed weights, SkipLayerNormalization, BiasGelu."""
    from onnxruntime.transformers import optimizer
    subprocess.run([sys.executable, SOURCE / "tools/export_torch.py", tiny / "bert", tmp_path / "m.onnx"], check=True,
                   capture_output=True)
    fused = optimizer.optimize_model(str(tmp_path / "m.onnx"), model_type="bert", num_heads=3, hidden_size=36)
    assert {"EmbedLayerNormalization", "Attention", "SkipLayerNormalization", "BiasGelu"} <= {
        n.op_type for n in fused.model.graph.node}
    fused.save_model_to_file(str(tmp_path / "f.onnx"))
    expect(tmp_path / "f.onnx", "bert")
