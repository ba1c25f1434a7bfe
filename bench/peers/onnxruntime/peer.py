"""onnxruntime's CPU provider. FP32; its dynamic INT8 (`octavo quantize` writes the bytes of its quantize_dynamic, which the
oracle tests check); 8-bit weights with MatMulNBits, blocks of 32, INT8 arithmetic (accuracy level 4). The graph is the plain
one, or for decoders one with its own attention op (fuse.py): the table has both."""
import pathlib
import sys

import common
import onnxruntime

VARIANTS = ("FP32", "INT8", "MatMulNBits-8", "INT8, own attention op")


def versions():
    return {"onnxruntime": onnxruntime.__version__}


def prepare(files):
    import onnx

    sys.path.append(str(pathlib.Path(__file__).parent))
    import fuse
    from onnxruntime.quantization import matmul_nbits_quantizer as nbits

    config = nbits.DefaultWeightOnlyQuantConfig(block_size=32, is_symmetric=True, bits=8, accuracy_level=4)
    quantizer = nbits.MatMulNBitsQuantizer(onnx.load(str(files.fp32)), algo_config=config)
    quantizer.process()
    quantizer.model.save_model_to_file(str(files.own / "nbits.onnx"), use_external_data_format=True)
    if files.config["model_type"] != "bert":
        fuse.fuse(files.int8, files.own / "fused.int8.onnx", files.config)


class Model:
    def __init__(self, files, variant, threads):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        file = {"FP32": files.fp32, "INT8": files.int8, "MatMulNBits-8": files.own / "nbits.onnx",
                "INT8, own attention op": files.own / "fused.int8.onnx"}[variant]
        if not file.exists():
            raise FileNotFoundError("no such form of this model")
        self.session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.inputs = [i.name for i in self.session.get_inputs()]
        self.pooling = files.pooling

    def encode(self, texts):
        ids, mask = common.padded(texts)
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": ids * 0}
        hidden = self.session.run(None, {name: feeds[name] for name in self.inputs})[0]
        return common.pooled(hidden, mask, self.pooling)
