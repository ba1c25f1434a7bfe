"""OpenVINO's CPU plugin over NNCF's INT8 weights (symmetric, one scale an output channel). Activations become INT8 in the
kernels, in groups of 32 numbers of a row (the default) or of 1024 (the fastest); the rest in bf16 where the CPU has it, or
in f32. Attention spelled as OpenVINO's own op makes no difference: without a key/value cache the plugin takes it apart and
compiles the same code as of the plain nodes."""
import common
import numpy as np
import openvino

VARIANTS = ("INT8, group 1024, bf16", "INT8, group 1024, f32", "INT8, group 32, bf16")


def versions():
    return {"openvino": openvino.__version__.split("-")[0]}


def prepare(files):
    import nncf

    model = openvino.Core().read_model(str(files.fp32))
    compressed = nncf.compress_weights(model, mode=nncf.CompressWeightsMode.INT8_SYM)
    openvino.save_model(compressed, str(files.own / "int8.xml"), compress_to_fp16=False)


class Model:
    def __init__(self, files, variant, threads):
        _, group, precision = variant.split(", ")
        model = openvino.Core().compile_model(str(files.own / "int8.xml"), "CPU", {
            "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": precision,
            "DYNAMIC_QUANTIZATION_GROUP_SIZE": group.split()[1]})
        self.request, self.pooling = model.create_infer_request(), files.pooling
        self.inputs = [i.get_any_name() for i in model.inputs]

    def encode(self, texts):
        ids, mask = common.padded(texts)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = self.request.infer({name: feeds[name] for name in self.inputs}, share_inputs=True, share_outputs=True)[0]
        return common.pooled(hidden, mask, self.pooling)
