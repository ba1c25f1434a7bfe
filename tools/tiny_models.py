"""Tiny random snapshots of every architecture octavo imports, with odd sizes on purpose: a head_dim that is
not hidden / heads, a vocabulary that is no multiple of anything, biases that are not zero, gains that are
not one. Used by make_golden.py and export_torch.py; needs torch and transformers only to save them.
"""
import json
import pathlib
import string

import numpy as np

SEED = 20261124

TEXT = """The quick brown fox jumps over the lazy dog while the small vectors of words come together.
An embedding maps a sentence to numbers so that sentences of one meaning lie near each other.
Der Klimawandel verändert das Wetter, die Meere und die Wälder. Wasser steigt, Eis schmilzt.
La neige tombe sur les montagnes et le vent souffle dans la vallée. El sol sale por la mañana.
def add(a, b): return a + b. for i in range(10): print(i, add(i, 1)). 3.14159 + 2.71828 = 5.85987
"""

DECODER = dict(hidden_size=40, intermediate_size=52, num_hidden_layers=2, num_attention_heads=6, num_key_value_heads=2,
               max_position_embeddings=96, rms_norm_eps=1e-5, hidden_act="silu", initializer_range=0.02,
               tie_word_embeddings=True, bos_token_id=None, eos_token_id=0, pad_token_id=0)

# name -> (transformers classes of config and of the model that is saved, config, weights stored as, shards)
MODELS = {
    "qwen3": ("Qwen3Config", "Qwen3Model", dict(DECODER, head_dim=10, attention_bias=True, rope_theta=1000000.0), "bf16", 1),
    "qwen2": ("Qwen2Config", "Qwen2ForCausalLM", dict(DECODER, hidden_size=36, num_key_value_heads=6, tie_word_embeddings=False, rope_theta=10000.0), "bf16", 1),
    "mistral": ("MistralConfig", "MistralForCausalLM", dict(DECODER, head_dim=14, sliding_window=5, rope_theta=10000.0), "f16", 2),
    "llama": ("LlamaConfig", "LlamaForCausalLM", dict(
        DECODER, hidden_size=48, num_attention_heads=4, head_dim=16, attention_bias=True, mlp_bias=True, rope_theta=500.0,
        rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                          original_max_position_embeddings=24)), "f16", 1),
    "bert": ("BertConfig", "BertForMaskedLM", dict(
        hidden_size=36, intermediate_size=50, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=64,
        type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12, pad_token_id=0), "f32", 1),
}


def bpe_tokenizer():
    """Byte-level BPE with the Qwen layout: EOS appended by the post-processor, which is also the padding."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator([TEXT], trainers.BpeTrainer(
        vocab_size=331, special_tokens=["<|endoftext|>"], show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    tok.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", pair="$A $B <|endoftext|>", special_tokens=[("<|endoftext|>", 0)])
    return tok, dict(eos_token="<|endoftext|>", pad_token="<|endoftext|>")


def wordpiece_tokenizer():
    """A vocabulary written down, not trained: every letter and its continuation, and some words."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    letters = string.ascii_lowercase + string.digits
    words = sorted({w for w in "".join(c if c.isalpha() and c.isascii() else " " for c in TEXT.lower()).split() if len(w) > 2})
    vocab = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters), *".,()+=:", *words]
    tok = Tokenizer(models.WordPiece({t: i for i, t in enumerate(vocab)}, unk_token="[UNK]"))
    tok.normalizer = normalizers.BertNormalizer(lowercase=True)
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    tok.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    return tok, dict(cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]")


def random_weights(model, rng):
    """Large enough that attention is sharp and every bias and gain matters; small enough to stay tame."""
    import torch
    for name, p in sorted(model.named_parameters()):
        shape = tuple(p.shape)
        noise = rng.standard_normal(shape).astype(np.float32)
        if "norm" in name.lower() and name.endswith("weight"):
            value = 1 + 0.3 * noise
        elif len(shape) == 1:
            value = 0.2 * noise
        elif "embed" in name:
            value = 0.7 * noise
        else:
            value = noise * (1.4 / np.sqrt(shape[1]))
        p.data = torch.from_numpy(np.asarray(value, np.float32))


def write_json(path, value):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def sentence_transformers_files(folder, hidden, decoder):
    write_json(folder / "modules.json", [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"}])
    modes = dict.fromkeys(["pooling_mode_cls_token", "pooling_mode_mean_tokens", "pooling_mode_max_tokens",
                           "pooling_mode_mean_sqrt_len_tokens", "pooling_mode_weightedmean_tokens",
                           "pooling_mode_lasttoken"], False)
    modes["pooling_mode_lasttoken" if decoder else "pooling_mode_mean_tokens"] = True
    write_json(folder / "1_Pooling/config.json", dict(modes, word_embedding_dimension=hidden, include_prompt=True))
    prompts = {"query": "Instruct: find it\nQuery:", "document": ""} if decoder else {}
    write_json(folder / "config_sentence_transformers.json",
               {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"})


def save(root, name):
    """Writes tests/golden/tiny/<name>."""
    import torch
    import transformers
    config_class, model_class, config, stored, shards = MODELS[name]
    folder = pathlib.Path(root) / name
    folder.mkdir(parents=True, exist_ok=True)
    tok, special = (wordpiece_tokenizer if name == "bert" else bpe_tokenizer)()
    config = getattr(transformers, config_class)(vocab_size=tok.get_vocab_size(), **config)
    torch.manual_seed(SEED)
    model = getattr(transformers, model_class)(config).eval()
    random_weights(model, np.random.default_rng([SEED, *name.encode()]))
    model = model.to({"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[stored])
    total = sum(p.numel() * p.element_size() for p in model.parameters())
    model.save_pretrained(folder, max_shard_size=total // shards + 1 if shards > 1 else "1GB")
    (folder / "generation_config.json").unlink(missing_ok=True)
    tok.save(str(folder / "tokenizer.json"))
    write_json(folder / "tokenizer_config.json", dict(
        special, tokenizer_class="PreTrainedTokenizerFast", model_max_length=64, padding_side="right" if name == "bert" else "left"))
    write_json(folder / "special_tokens_map.json", special)
    if name in ("qwen3", "bert"):
        sentence_transformers_files(folder, config.hidden_size, name != "bert")
    return folder
