"""Token ids that `tokenizers` (Python package) gives on tools/nasty_strings.py.

  make_token_golden.py MINILM_FOLDER            writes tests/golden/tokenizer/
  make_token_golden.py MINILM_FOLDER --check    fails when what it would write is not what is there

strings.txt: a string a line; \\ and every byte below space or not UTF-8 written \\xNN.
<name>.txt: for each string two columns, its ids without a limit and, where that changes them, those
cut to 16 (special tokens kept). Ids are spelled out in the first 400 lines of MiniLM, else `count:fnv1a32` of the ids as
decimal numbers with a space after each. Tokenizers: MiniLM (WordPiece) and the three small ones in
this folder, shaped like Qwen3 (byte-level BPE with its regex, EOS template), Llama 2 (BPE with byte
fallback, no pre-tokenizer) and XLM-R (Unigram, Metaspace). --train trained those once; Unigram
training is not reproducible to the last bit, so they are kept, not re-made.
Made with tokenizers 0.22.1, Python 3.11 (Unicode 14)."""
import argparse
import pathlib
import sys

import tokenizers
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import nasty_strings

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "tests" / "golden" / "tokenizer"
LIMIT = 16
SPELLED = 400


def escape(raw):
    out = []
    for piece in raw.decode("utf-8", "surrogateescape"):
        code = ord(piece)
        if 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code - 0xDC00:02x}")
        elif piece == "\\" or code < 0x20 or code == 0x7F:
            out.append(f"\\x{code:02x}")
        else:
            out.append(piece)
    return "".join(out)


def digest(ids):
    value = 2166136261
    for byte in "".join(f"{i} " for i in ids).encode():
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return f"{len(ids)}:{value:08x}"


def rows(tokenizer, spelled):
    tokenizer.no_padding()
    texts = [raw.decode("utf-8", "replace") for raw in nasty_strings.strings()]
    lines = []
    for n, text in enumerate(texts):
        write = (lambda ids: " ".join(map(str, ids))) if n < spelled else digest
        tokenizer.no_truncation()
        whole = tokenizer.encode(text).ids
        tokenizer.enable_truncation(LIMIT)
        cut = tokenizer.encode(text).ids
        lines.append(f"{write(whole)}\t{write(cut) if cut != whole else ''}\n")
    return "".join(lines)


def train():
    texts = [s for s in nasty_strings.SENTENCES + nasty_strings.CODE for _ in range(3)]
    qwen = Tokenizer(models.BPE())
    qwen.normalizer = normalizers.NFC()
    split = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
             r"|\s*[\r\n]+|\s+(?!\S)|\s+")
    qwen.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(split), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    qwen.decoder = decoders.ByteLevel()
    qwen.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=700, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"]))
    qwen.post_processor = processors.Sequence(
        [processors.ByteLevel(trim_offsets=False), processors.TemplateProcessing(single="$A <|endoftext|>", special_tokens=[("<|endoftext|>", 0)])])
    llama = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    llama.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    llama.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=900, special_tokens=["<unk>", "<s>", "</s>"] + [f"<0x{b:02X}>" for b in range(256)]))
    llama.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    xlmr = Tokenizer(models.Unigram())
    xlmr.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    xlmr.pre_tokenizer = pre_tokenizers.Metaspace()
    xlmr.train_from_iterator(texts, trainers.UnigramTrainer(
        vocab_size=700, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"], unk_token="<unk>"))
    xlmr.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    for name, tokenizer in (("qwen", qwen), ("llama", llama), ("xlmr", xlmr)):
        tokenizer.save(str(FOLDER / f"{name}.json"), pretty=False)


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("minilm", type=pathlib.Path)
    options.add_argument("--check", action="store_true")
    options.add_argument("--train", action="store_true")
    options = options.parse_args()
    if options.train:
        train()
    files = {"strings.txt": "".join(escape(s) + "\n" for s in nasty_strings.strings())}
    files["minilm.txt"] = rows(Tokenizer.from_file(str(options.minilm / "tokenizer.json")), SPELLED)
    for name in ("qwen", "llama", "xlmr"):
        files[f"{name}.txt"] = rows(Tokenizer.from_file(str(FOLDER / f"{name}.json")), 0)
    different = []
    for name, text in files.items():
        path = FOLDER / name
        if options.check:
            if path.read_text(encoding="utf-8") != text:
                different.append(name)
        else:
            with open(path, "w", encoding="utf-8", newline="\n") as file:
                file.write(text)
    if different:
        sys.exit(f"not what tokenizers {tokenizers.__version__} gives: {', '.join(different)}")


main()
