"""Token ids against the Python package `tokenizers`, live, on 100,000 random strings a tokenizer:
fragments of nasty_strings glued together, characters of every block, bytes that are no UTF-8."""
import os
import pathlib
import random
import struct
import subprocess
import sys
import unicodedata

import pytest
import tokenizers

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(SOURCE / "tools"))
import nasty_strings

LIMIT = 12


@pytest.fixture(scope="module")
def texts():
    draw = random.Random(77)
    pool = nasty_strings.strings()
    blocks = [c for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs", "Co")]
    out = []
    for n in range(100_000):
        if n % 4 == 0:
            text = "".join(chr(draw.choice(blocks)) for _ in range(draw.randint(1, 6))).encode()
        else:
            parts = []
            for _ in range(draw.randint(1, 3)):
                part = draw.choice(pool)
                at = draw.randint(0, len(part))
                parts.append(part[at:at + draw.randint(1, 12)])
            text = draw.choice([b"", b" ", b"\n"]).join(parts)
        out.append(text)
    return out


@pytest.mark.parametrize("name", ["minilm", "qwen", "llama", "xlmr"])
def test_same_ids(name, texts, request):
    file = SOURCE / "tests" / "golden" / "tokenizer" / f"{name}.json"
    if name == "minilm":
        file = request.getfixturevalue("minilm") / "tokenizer.json"
    packed = b"".join(struct.pack("<I", len(t)) + t for t in texts)
    done = subprocess.run([os.environ["OCTAVO_ENCODE_TEXTS"], str(file), str(LIMIT)], input=packed, capture_output=True, check=True)
    got = done.stdout.decode().splitlines()
    assert len(got) == len(texts)
    oracle = tokenizers.Tokenizer.from_file(str(file))
    oracle.no_padding()
    decoded = [t.decode("utf-8", "replace") for t in texts]
    oracle.no_truncation()
    lengths = [len(e.ids) for e in oracle.encode_batch(decoded)]
    oracle.enable_truncation(LIMIT)
    for text, line, full, expected in zip(texts, got, lengths, oracle.encode_batch(decoded)):
        assert line == " ".join(map(str, [full, *expected.ids])), text
