"""llama.cpp, as llama-cpp-python builds it for this machine; Q8_0 and BF16. It batches without padding itself: several
texts are sequences of one batch. The context holds the longest text, the physical batch too, as embedding asks for."""
import ctypes
import importlib.metadata
import pathlib
import sys

import llama_cpp
import numpy as np

VARIANTS = ("Q8_0", "BF16")
# (sort, texts a call): a call is cut where the batch is full.
ARRANGEMENTS = {"one by one": (True, 1), "sequences of one batch": (True, 64)}
POOLING = {"mean": llama_cpp.LLAMA_POOLING_TYPE_MEAN, "cls": llama_cpp.LLAMA_POOLING_TYPE_CLS,
           "last_token": llama_cpp.LLAMA_POOLING_TYPE_LAST}
LONGEST, SEQUENCES = 8192, 64


def versions():
    return {"llama-cpp-python": importlib.metadata.version("llama-cpp-python")}


def prepare(files):
    sys.path.append(str(pathlib.Path(__file__).parent))
    import to_gguf

    for kind in VARIANTS:
        to_gguf.write(files, kind, str(files.own / f"{kind}.gguf"))


class Model:
    def __init__(self, files, variant, threads):
        llama_cpp.llama_backend_init()
        quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)
        llama_cpp.llama_log_set(quiet, None)
        self.keep = quiet
        model_params = llama_cpp.llama_model_default_params()
        self.model = llama_cpp.llama_model_load_from_file(str(files.own / f"{variant}.gguf").encode(), model_params)
        self.longest = min(LONGEST, files.config["max_position_embeddings"])
        self.width = files.config["hidden_size"]
        self.bert = files.config["model_type"] == "bert"
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = self.longest
        params.n_seq_max, params.kv_unified = SEQUENCES, True
        params.n_threads = params.n_threads_batch = threads
        params.embeddings, params.pooling_type = True, POOLING[files.pooling]
        self.context = llama_cpp.llama_init_from_model(self.model, params)
        self.batch = llama_cpp.llama_batch_init(self.longest, 0, 1)

    def encode(self, texts):
        rows, begin = np.empty((len(texts), self.width), np.float32), 0
        while begin < len(texts):
            end, used = begin, 0
            while end < len(texts) and used + len(texts[end]) <= self.longest:
                used, end = used + len(texts[end]), end + 1
            self.run(texts[begin:end], rows[begin:end])
            begin = end
        return rows

    def run(self, texts, rows):
        batch, at = self.batch, 0
        for sequence, text in enumerate(texts):
            for position, token in enumerate(text):
                batch.token[at], batch.pos[at], batch.n_seq_id[at] = token, position, 1
                batch.seq_id[at][0], batch.logits[at] = sequence, True
                at += 1
        batch.n_tokens = at
        if self.bert:
            status = llama_cpp.llama_encode(self.context, batch)
        else:
            llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
            status = llama_cpp.llama_decode(self.context, batch)
        if status != 0:
            raise RuntimeError(f"llama.cpp returned {status} for {at} tokens")
        for sequence in range(len(texts)):
            pointer = llama_cpp.llama_get_embeddings_seq(self.context, sequence)
            rows[sequence] = np.ctypeslib.as_array(ctypes.cast(pointer, ctypes.POINTER(ctypes.c_float)), (self.width,))
