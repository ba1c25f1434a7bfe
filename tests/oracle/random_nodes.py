"""Random nodes of the standard ops with random inputs, within what onnxruntime implements too: shapes that broadcast,
empty dimensions, every axis, negative steps. One model holds many nodes, each with graph inputs of its own."""
import numpy as np
import onnx
from onnx import TensorProto, helper

FLOAT, INT64, INT32, BOOL, DOUBLE = np.float32, np.int64, np.int32, np.bool_, np.float64


class Random:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def number(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def choice(self, options):
        return options[self.number(0, len(options) - 1)]

    def shape(self, low=0, high=4, largest=6, empty=True):
        rank = self.number(low, high)
        dims = [self.number(1, largest) for _ in range(rank)]
        if empty and rank and self.number(0, 15) == 0:
            dims[self.number(0, rank - 1)] = 0
        return dims

    def tensor(self, shape, dtype=FLOAT):
        if dtype == BOOL:
            return self.rng.integers(0, 2, shape).astype(bool)
        if dtype in (FLOAT, DOUBLE):
            return self.rng.standard_normal(shape).astype(dtype)
        return self.rng.integers(-20, 20, shape).astype(dtype)

    def broadcastable(self, shape):
        """Some leading dimensions gone, some of the others 1."""
        cut = shape[self.number(0, len(shape)):]
        return [1 if self.number(0, 2) == 0 else d for d in cut]

    def axes(self, rank, low=0):
        count = self.number(low, rank)
        chosen = self.rng.choice(rank, count, replace=False)
        return [int(a) - (rank if self.number(0, 1) else 0) for a in chosen]


def ints(values):
    return np.array(values, dtype=INT64)


def binary(r, op, dtypes, tame=lambda b: b):
    dtype = r.choice(dtypes)
    a, b = r.shape(), None
    b = r.broadcastable(a)
    left, right = r.tensor(a, dtype), r.tensor(b, dtype)
    if r.number(0, 1):
        left, right = right, left
    return op, {}, [left, tame(right)], 1


def nonzero(x):
    return np.where(x == 0, np.ones_like(x), x)


def reduce(r, op, version):
    x = r.tensor(r.shape(1, 4, empty=False))
    if op in ("ReduceLogSum",):
        x = np.abs(x) + FLOAT(0.1)
    axes = r.axes(x.ndim, 1)
    attributes = {"keepdims": r.number(0, 1)}
    if version >= (13 if op == "ReduceSum" else 18):
        return op, attributes, [x, ints(axes)], 1
    return op, attributes | {"axes": axes}, [x], 1


def gather(r, version):
    x = r.tensor(r.shape(1, 4, empty=False), r.choice([FLOAT, INT64, BOOL]))
    axis = r.number(-x.ndim, x.ndim - 1)
    dim = x.shape[axis]
    index = r.rng.integers(-dim, dim, r.shape(0, 2)).astype(r.choice([INT64, INT32]))
    return "Gather", {"axis": axis}, [x, index], 1


def gather_elements(r, version):
    x = r.tensor(r.shape(1, 3, empty=False))
    axis = r.number(-x.ndim, x.ndim - 1)
    shape = [r.number(1, d) for d in x.shape]
    shape[axis] = r.number(1, 5)
    return "GatherElements", {"axis": axis}, [x, r.rng.integers(-x.shape[axis], x.shape[axis], shape)], 1


def scatter_elements(r, version):
    op, attributes, (x, index), _ = gather_elements(r, version)
    # Unique places: otherwise the order of writing is anybody's.
    axis = attributes["axis"]
    shape = list(index.shape)
    shape[axis] = min(shape[axis], x.shape[axis])
    index = np.argsort(r.rng.random(shape[:axis % x.ndim] + [x.shape[axis]] + shape[axis % x.ndim + 1:]), axis=axis)
    index = np.take(index, range(shape[axis]), axis=axis).astype(INT64)
    return "ScatterElements", attributes, [x, index, r.tensor(shape)], 1


def gather_nd(r, version):
    x = r.tensor(r.shape(1, 4, empty=False))
    width = r.number(1, x.ndim)
    index = np.stack([r.rng.integers(-d, d, (3, 2)) for d in x.shape[:width]], axis=-1).astype(INT64)
    return "GatherND", {}, [x, index], 1


def slice_(r, version):
    x = r.tensor(r.shape(1, 4), r.choice([FLOAT, INT64]))
    axes = r.axes(x.ndim, 1)
    sizes = [x.shape[a] for a in axes]
    starts = [r.number(-d - 2, d + 2) for d in sizes]
    ends = [r.number(-d - 2, d + 2) for d in sizes]
    steps = [r.choice([1, 1, 2, -1, -2, 3]) for _ in sizes]
    return "Slice", {}, [x, ints(starts), ints(ends), ints(axes), ints(steps)], 1


def split(r, version):
    x = r.tensor(r.shape(1, 4, empty=False))
    axis = r.number(-x.ndim, x.ndim - 1)
    dim = x.shape[axis]
    first = r.number(0, dim)
    if version < 13:
        return "Split", {"axis": axis, "split": [first, dim - first]}, [x], 2
    return "Split", {"axis": axis}, [x, ints([first, dim - first])], 2


def concat(r, version):
    shape = r.shape(1, 4)
    axis = r.number(-len(shape), len(shape) - 1)
    parts = []
    for _ in range(r.number(1, 4)):
        own = list(shape)
        own[axis] = r.number(0, 4)
        parts.append(r.tensor(own))
    return "Concat", {"axis": axis}, parts, 1


def transpose(r, version):
    x = r.tensor(r.shape(0, 5), r.choice([FLOAT, INT64, BOOL]))
    return "Transpose", {"perm": [int(p) for p in r.rng.permutation(x.ndim)]} if x.ndim else {}, [x], 1


def expand(r, version):
    wanted = r.shape(0, 4)
    return "Expand", {}, [r.tensor(r.broadcastable(wanted)), ints(wanted)], 1


def where(r, version):
    shape = r.shape()
    return "Where", {}, [r.tensor(r.broadcastable(shape), BOOL), r.tensor(r.broadcastable(shape)), r.tensor(shape)], 1


def pad(r, version):
    x = r.tensor(r.shape(1, 3, empty=False))
    mode = r.choice(["constant", "edge", "reflect"])
    most = [d - 1 if mode == "reflect" else 3 for d in x.shape]
    pads = [r.number(0, m) for m in most + most]
    inputs = [x, ints(pads)] + ([FLOAT(1.5)] if mode == "constant" else [])
    return "Pad", {"mode": mode}, inputs, 1


def top_k(r, version):
    x = r.tensor(r.shape(1, 3, empty=False))
    axis = r.number(-x.ndim, x.ndim - 1)
    return "TopK", {"axis": axis, "largest": r.number(0, 1)}, [x, ints([r.number(1, x.shape[axis])])], 2


def arg(r, op):
    x = r.tensor(r.shape(1, 3, empty=False), r.choice([FLOAT, INT32]))
    return op, {"axis": r.number(-x.ndim, x.ndim - 1), "keepdims": r.number(0, 1)}, [x], 1


def cum_sum(r, version):
    x = r.tensor(r.shape(1, 3, empty=False), r.choice([FLOAT, INT64]))
    axis = np.array(r.number(-x.ndim, x.ndim - 1), dtype=INT64)
    return "CumSum", {"exclusive": r.number(0, 1), "reverse": r.number(0, 1)}, [x, axis], 1


def cast(r, version):
    kinds = {FLOAT: TensorProto.FLOAT, INT64: TensorProto.INT64, INT32: TensorProto.INT32, BOOL: TensorProto.BOOL,
             DOUBLE: TensorProto.DOUBLE, np.float16: TensorProto.FLOAT16, np.uint8: TensorProto.UINT8}
    source = r.choice([FLOAT, INT64, INT32, BOOL, DOUBLE])
    target = r.choice(list(kinds))
    x = r.tensor(r.shape(), source)
    if target == np.uint8 and source != BOOL:
        x = np.abs(x)
    return "Cast", {"to": kinds[target]}, [x], 1


def unsqueeze(r, version):
    x = r.tensor(r.shape(0, 3))
    axes = [int(a) for a in r.rng.choice(x.ndim + 2, 2, replace=False)]
    if version < 13:
        return "Unsqueeze", {"axes": axes}, [x], 1
    return "Unsqueeze", {}, [x, ints(axes)], 1


def einsum(r, version):
    sizes = {c: r.number(1, 5) for c in "bhijd"}
    equation = r.choice(["bhid,bhjd->bhij", "bhij,bhjd->bihd", "ij,jd->id", "bi,bi->b", "ij->ji", "bij->i", "i,j->ij"])
    terms = equation.split("->")[0].split(",")
    return "Einsum", {"equation": equation}, [r.tensor([sizes[c] for c in t]) for t in terms], 1


def matmul(r, version):
    batch = r.shape(0, 2, empty=False)
    m, k, n = (r.number(1, 40) for _ in range(3))
    a, b = r.tensor([*batch, m, k]), r.tensor([*r.broadcastable(batch), k, n])
    return "MatMul", {}, [a, b], 1


def unary(r, op, low=None):
    x = r.tensor(r.shape())
    return op, {}, [x if low is None else np.abs(x) + FLOAT(low)], 1


NUMBERS = [FLOAT, INT64, INT32, DOUBLE]
MAKERS = {
    **{op: lambda r, v, op=op: binary(r, op, NUMBERS) for op in ("Add", "Sub", "Mul", "Equal", "Less", "Greater")},
    "Div": lambda r, v: binary(r, "Div", NUMBERS, nonzero),
    "Pow": lambda r, v: binary(r, "Pow", [FLOAT], lambda b: np.round(b)),
    "And": lambda r, v: binary(r, "And", [BOOL]),
    "Or": lambda r, v: binary(r, "Or", [BOOL]),
    "Max": lambda r, v: binary(r, "Max", [FLOAT, DOUBLE]),
    "Min": lambda r, v: binary(r, "Min", [FLOAT, DOUBLE]),
    **{op: lambda r, v, op=op: unary(r, op) for op in
       ("Abs", "Neg", "Exp", "Erf", "Tanh", "Sigmoid", "Relu", "Sin", "Cos", "Floor", "Ceil", "Round", "Softplus")},
    **{op: lambda r, v, op=op: unary(r, op, 0.01) for op in ("Sqrt", "Log", "Reciprocal")},
    **{op: lambda r, v, op=op: reduce(r, op, v) for op in
       ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceSumSquare",
        "ReduceLogSum", "ReduceLogSumExp")},
    "Gather": gather, "GatherElements": gather_elements, "ScatterElements": scatter_elements, "GatherND": gather_nd,
    "Slice": slice_, "Split": split, "Concat": concat, "Transpose": transpose, "Expand": expand, "Where": where,
    "Pad": pad, "TopK": top_k, "ArgMax": lambda r, v: arg(r, "ArgMax"), "ArgMin": lambda r, v: arg(r, "ArgMin"),
    "CumSum": cum_sum, "Cast": cast, "Unsqueeze": unsqueeze, "Einsum": einsum, "MatMul": matmul,
}


def model(opset, seed, rounds):
    """(ModelProto, feeds): `rounds` nodes of each op."""
    r = Random(seed)
    nodes, feeds, inputs, outputs = [], {}, [], []
    for op, make in MAKERS.items():
        if op == "Einsum" and opset < 12:
            continue
        for k in range(rounds):
            op_type, attributes, arrays, count = make(r, opset)
            name = f"{op_type}_{k}"
            own = []
            for i, array in enumerate(arrays):
                array = np.ascontiguousarray(array) if np.ndim(array) else np.asarray(array)
                own.append(f"{name}.in{i}")
                feeds[own[-1]] = array
                kind = helper.np_dtype_to_tensor_dtype(array.dtype)
                inputs.append(helper.make_tensor_value_info(own[-1], kind, array.shape))
            made = [f"{name}.out{i}" for i in range(count)]
            nodes.append(helper.make_node(op_type, own, made, name=name, **attributes))
            outputs += [helper.make_empty_tensor_value_info(m) for m in made]
    graph = helper.make_graph(nodes, f"random_{seed}", inputs, outputs)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(made), feeds
