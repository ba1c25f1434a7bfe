"""onnxruntime's quantize_dynamic as the reference of octavo quantize, and what "the same model" means."""
import logging

import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

logging.getLogger().setLevel(logging.ERROR)  # quantize_dynamic recommends its preprocessing each time

LITERAL = ("--per-channel", "--op-types", "MatMul", "--weight-type", "qint8", "--external-data")


def reference(source, target, **options):
    options = {"per_channel": True, "weight_type": QuantType.QInt8, "use_external_data_format": True} | options
    quantize_dynamic(source, target, op_types_to_quantize=["MatMul"], **options)
    return onnx.load(target)


def describe(node):
    """A node as values that can be compared; attribute tensors by content, not by how they are stored."""
    def value(a):
        v = helper.get_attribute_value(a)
        if isinstance(v, TensorProto):
            return (v.data_type, tuple(v.dims), numpy_helper.to_array(v).tobytes())
        if isinstance(v, onnx.GraphProto):
            return [describe(n) for n in v.node]
        return list(v) if isinstance(v, (list, tuple)) or hasattr(v, "append") else v

    return (node.name, node.op_type, node.domain, list(node.input), list(node.output),
            {a.name: (a.type, value(a)) for a in node.attribute})


def assert_same(ours, theirs, check=True):
    assert [describe(n) for n in ours.graph.node] == [describe(n) for n in theirs.graph.node]
    assert [i.name for i in ours.graph.initializer] == [i.name for i in theirs.graph.initializer]
    for a, b in zip(ours.graph.initializer, theirs.graph.initializer):
        assert (a.data_type, list(a.dims)) == (b.data_type, list(b.dims)), a.name
        assert numpy_helper.to_array(a).tobytes() == numpy_helper.to_array(b).tobytes(), a.name
        # Scales and zero points in the typed fields, whatever their size.
        assert a.HasField("raw_data") == b.HasField("raw_data"), a.name
    assert [i.name for i in ours.graph.input] == [i.name for i in theirs.graph.input]
    assert [o.name for o in ours.graph.output] == [o.name for o in theirs.graph.output]
    assert (ours.producer_name, ours.producer_version) == (theirs.producer_name, theirs.producer_version)
    assert ours.ir_version == theirs.ir_version
    assert {o.domain: o.version for o in ours.opset_import} == {o.domain: o.version for o in theirs.opset_import}
    if check:
        onnx.checker.check_model(ours)
