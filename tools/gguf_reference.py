"""The tokenizer a GGUF file was converted from, on top of transformers.

transformers (4.57) reads tokenizer.ggml.tokens and .merges of a Llama with a byte-level BPE, but not
tokenizer.ggml.pre and .add_bos_token: every text gets a BOS, digits are not split, a byte missing
from the vocabulary becomes the unknown token, and eos_token is the BOS. published() puts right what
the published tokenizer.json of SmolLM2 has: Digits then ByteLevel, no unknown token, no template.
"""
import pathlib

from transformers import AutoTokenizer


def published(path: pathlib.Path):
    import gguf
    from tokenizers import pre_tokenizers, processors

    fields = gguf.GGUFReader(path).fields
    value = lambda key, default=None: fields[key].contents() if key in fields else default
    tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    if (value("tokenizer.ggml.model"), value("tokenizer.ggml.pre")) != ("gpt2", "smollm"):
        return tokenizer  # as transformers has it: what it gets wrong here is not known
    assert value("tokenizer.ggml.add_bos_token") is False and not value("tokenizer.ggml.add_eos_token", False)
    backend = tokenizer.backend_tokenizer
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)])
    model = backend.model
    model.unk_token, model.fuse_unk, model.byte_fallback = None, False, False
    backend.model = model
    tokenizer.add_bos_token = tokenizer.add_eos_token = False  # rebuilds the template
    backend.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.eos_token = value("tokenizer.ggml.tokens")[value("tokenizer.ggml.eos_token_id")]
    return tokenizer
