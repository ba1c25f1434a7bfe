"""PyTorch's eager mode with transformers, scaled_dot_product_attention, inference mode; FP32 and BF16."""
import common
import torch
import transformers

VARIANTS = ("BF16", "FP32")


def versions():
    return {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}


def prepare(files):
    """A GGUF is turned into a snapshot once, so that loading is not dequantizing."""
    if files.gguf:
        model = transformers.AutoModel.from_pretrained(files.snapshot, gguf_file=files.gguf.name, dtype=torch.float32)
        model.save_pretrained(files.own / "snapshot")


class Model:
    def __init__(self, files, variant, threads):
        torch.set_num_threads(threads)
        folder = files.own / "snapshot" if files.gguf else files.snapshot
        dtype = {"BF16": torch.bfloat16, "FP32": torch.float32}[variant]
        self.model = transformers.AutoModel.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa").eval()
        self.pooling = files.pooling
        # Only BERT-like models look at padding behind a text: with a causal mask alone, torch takes its fused attention.
        self.causal = "ForCausalLM" in str(files.config.get("architectures"))

    def encode(self, texts):
        ids, mask = common.padded(texts)
        more = {"use_cache": False} if self.causal else {}
        if not self.causal and not mask.all():
            more["attention_mask"] = torch.from_numpy(mask)
        with torch.inference_mode():
            hidden = self.model(input_ids=torch.from_numpy(ids), **more).last_hidden_state
        return common.pooled(hidden.float().numpy(), mask, self.pooling)
