"""GGUF against the gguf package: every tensor type it shares with us, bit for bit."""
import os
import subprocess
import zlib

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as T

PLAIN = [T.F32, T.F16, T.BF16, T.F64, T.I8, T.I16, T.I32, T.I64]
BLOCKS = [T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1, T.Q8_0, T.Q4_K, T.Q5_K, T.Q6_K]
UNREADABLE = [T.Q2_K, T.Q3_K, T.IQ4_NL, T.IQ2_XXS, T.TQ1_0, T.MXFP4]
# Where the float16 scales lie in a block: they must be finite, every other bit may be anything.
SCALES = {T.Q4_0: [0], T.Q4_1: [0, 2], T.Q5_0: [0], T.Q5_1: [0, 2], T.Q8_0: [0], T.Q4_K: [0, 2], T.Q5_K: [0, 2], T.Q6_K: [208]}


def dump(path):
    """name -> (crc, shape, type), the errors, and the peak resident memory in KiB."""
    done = subprocess.run([os.environ["OCTAVO_DUMP_WEIGHTS"], path], capture_output=True, text=True, check=True)
    tensors, errors, peak = {}, [], 0
    for line in done.stdout.splitlines():
        if line.startswith("error "):
            errors.append(line)
        elif line.startswith("peak_kib "):
            peak = int(line.split()[1])
        else:
            crc, rest = line.split(" ", 1)
            shape, rest = rest.split("] ", 1)
            kind, name = rest.split(" ", 1)
            tensors[name] = (crc, tuple(int(d) for d in shape[1:].split(",") if d.strip()), kind)
    return tensors, errors, peak


def crc(array):
    return f"{zlib.crc32(np.ascontiguousarray(array, dtype=np.float32).tobytes()):08x}"


def random_blocks(rng, kind, rows, blocks):
    size = gguf.GGML_QUANT_SIZES[kind][1]
    raw = rng.integers(0, 256, (rows, blocks, size), dtype=np.uint8)
    for at in SCALES[kind]:
        # Any float16 but infinity and NaN: subnormals, zeros of both signs and the largest included.
        bits = rng.integers(0, 1 << 16, (rows, blocks), dtype=np.uint16)
        bits[(bits & 0x7C00) == 0x7C00] ^= 0x4000
        bits[0, :4] = [0, 0x8000, 1, 0x7BFF]
        raw[..., at] = bits & 0xFF
        raw[..., at + 1] = bits >> 8
    return raw.reshape(rows, blocks * size)


@pytest.mark.parametrize("alignment", [32, 8, 4096])
def test_random_blocks(tmp_path, alignment):
    rng = np.random.default_rng(20261124)
    path = tmp_path / "random.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(alignment)
    expected = {}
    for kind in BLOCKS:
        raw = random_blocks(rng, kind, 7, 64)
        writer.add_tensor(f"w.{kind.name}", raw, raw_dtype=kind)
        expected[f"w.{kind.name}"] = (gguf.dequantize(raw, kind), kind.name)
    with np.errstate(over="ignore"):
        plain = rng.normal(0, 3, (5, 11))
        for kind, dtype in zip(PLAIN, [np.float32, np.float16, None, np.float64, np.int8, np.int16, np.int32, np.int64]):
            if kind == T.BF16:
                value = gguf.quantize(plain.astype(np.float32), kind)
                writer.add_tensor("w.BF16", value, raw_dtype=kind)
                expected["w.BF16"] = (gguf.dequantize(value, kind), "BF16")
                continue
            value = (plain * 40).astype(dtype)
            writer.add_tensor(f"w.{kind.name}", value)
            expected[f"w.{kind.name}"] = (value.astype(np.float32), kind.name)
    vector = rng.normal(size=3).astype(np.float32)
    writer.add_tensor("a vector", vector)
    expected["a vector"] = (vector, "F32")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tensors, errors, _ = dump(path)
    assert errors == []
    assert tensors == {n: (crc(a), a.shape, kind) for n, (a, kind) in expected.items()}


def test_types_we_cannot_read_are_named(tmp_path):
    path = tmp_path / "exotic.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    for kind in UNREADABLE:
        block, size = gguf.GGML_QUANT_SIZES[kind]
        writer.add_tensor(f"w.{kind.name}", np.zeros((2, size), np.uint8), raw_dtype=kind)
    writer.add_tensor("fine", np.ones(2, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tensors, errors, _ = dump(path)
    assert list(tensors) == ["fine"]
    assert len(errors) == len(UNREADABLE)
    for kind, error in zip(UNREADABLE, errors):
        assert f'tensor "w.{kind.name}": is stored as {kind.name}; these can be read: F32, F16' in error


def test_a_real_model(smollm2):
    tensors, errors, peak = dump(smollm2)
    assert errors == []
    reader = gguf.GGUFReader(smollm2)
    assert len(tensors) == len(reader.tensors)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type)
        shape = tuple(int(d) for d in reversed(tensor.shape))
        assert tensors[tensor.name] == (crc(values), shape, tensor.tensor_type.name), tensor.name
    # One tensor at a time: the embedding is 108 MiB as float32, the file 94 MiB, all of it 513 MiB.
    # (A sanitizer keeps what was freed.)
    assert peak < 170 * 1024 or "OCTAVO_SANITIZED" in os.environ
