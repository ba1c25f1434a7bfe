"""Random cases of every op of com.microsoft that the executor has, one node each."""
import numpy as np
from onnx import helper, numpy_helper

MS = "com.microsoft"
F32, F16, I32, I64, U8, I8 = np.float32, np.float16, np.int32, np.int64, np.uint8, np.int8


class Case:
    """`inputs` in the node's order: None is absent; those in `constants` become initializers. `keep` maps outputs to
    masks of 0 and 1 that the graph multiplies them by: what an op computes for padding nobody promises. `reference` is a
    case of the same result that onnxruntime computes exactly on every CPU, where it does not do so with this one."""

    def __init__(self, name, op, inputs, outputs=1, constants=(), tolerance=2e-5, keep=None, reference=None, **attributes):
        self.name, self.op, self.tolerance = name, op, tolerance
        self.reference = reference or self
        wanted = [f"y{i}" for i in range(outputs)] if isinstance(outputs, int) else outputs
        names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
        while names[-1] == "":
            names.pop()
        self.feeds = {n: x for i, (n, x) in enumerate(zip(names, inputs)) if n and i not in constants}
        fixed = {names[i]: inputs[i] for i in constants if inputs[i] is not None}
        nodes = [helper.make_node(op, names, wanted, "node", domain=MS, **attributes)]
        self.outputs = [w for w in wanted if w]
        for i, (output, mask) in enumerate((keep or {}).items()):
            fixed[f"keep{i}"] = mask
            nodes.append(helper.make_node("Mul", [output, f"keep{i}"], [f"kept_{output}"], f"keep{i}"))
            self.outputs[self.outputs.index(output)] = f"kept_{output}"
        ins = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), [f"{n}_{d}" for d in range(x.ndim)])
               for n, x in self.feeds.items()]
        outs = [helper.make_empty_tensor_value_info(w) for w in self.outputs]
        graph = helper.make_graph(nodes, name, ins, outs, [numpy_helper.from_array(v, k) for k, v in fixed.items()])
        self.model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid(MS, 1)],
                                       ir_version=8)


def product(name, op, inputs, zero_point, constants=()):
    """uint8 or quantized activations times inputs[1], whose zero point is inputs[zero_point]. onnxruntime's u8 x s8 kernel
    saturates on CPUs without VNNI, its u8 x u8 kernel does not: int8 weights and zero point plus 128 are the same integers."""
    reference = None
    if inputs[1].dtype == I8 and inputs[0].dtype != I8:
        shifted = list(inputs)
        zeros = np.zeros(1, I8) if inputs[zero_point] is None else inputs[zero_point]
        for at, values in ((1, inputs[1]), (zero_point, zeros)):
            shifted[at] = (values.astype(np.int16) + 128).astype(U8)
        reference = Case(name, op, shifted, constants=constants)
    return Case(name, op, inputs, constants=constants, tolerance=1e-4, reference=reference)


def cases():
    rng = np.random.default_rng(4)

    def f(*shape, dtype=F32, scale=1.0):
        return (rng.standard_normal(shape) * scale).astype(dtype)

    def positive(*shape):
        return rng.uniform(0.01, 0.1, shape).astype(F32)

    def rope(positions, half):
        angle = np.arange(positions)[:, None] / 10000 ** (np.arange(half) / half)
        return np.cos(angle).astype(F32), np.sin(angle).astype(F32)

    yield Case("gelu", "Gelu", [f(3, 37, scale=3)])
    yield Case("bias_gelu", "BiasGelu", [f(2, 5, 33), f(33)])
    yield Case("fast_gelu", "FastGelu", [f(2, 5, 33, scale=3)])
    yield Case("fast_gelu_bias", "FastGelu", [f(2, 5, 33), f(33)])
    yield Case("quick_gelu", "QuickGelu", [f(4, 300, scale=3)])
    yield Case("quick_gelu_alpha", "QuickGelu", [f(7)], alpha=0.5)

    for b, s, h in [(1, 1, 8), (2, 5, 48), (3, 7, 100)]:
        yield Case(f"skip_ln_{b}{s}{h}", "SkipLayerNormalization", [f(b, s, h), f(b, s, h), f(h), f(h), f(h)],
                   ["y", "", "", "sum"], epsilon=1e-5)
        yield Case(f"skip_ln_plain_{b}{s}{h}", "SkipLayerNormalization", [f(b, s, h), f(b, s, h), f(h)])
        yield Case(f"skip_ln_one_{b}{s}{h}", "SkipLayerNormalization", [f(b, s, h), f(1, s, h), f(h), f(h)], epsilon=1e-6)
        yield Case(f"skip_ln_2d_{b}{s}{h}", "SkipLayerNormalization", [f(b, s, h), f(s, h), f(h), None, f(h)])
        yield Case(f"skip_simplified_{b}{s}{h}", "SkipSimplifiedLayerNormalization", [f(b, s, h), f(b, s, h), f(h), f(h)],
                   ["y", "", "", "sum"], epsilon=1e-6)
        yield Case(f"skip_simplified_2d_{b}{s}{h}", "SkipSimplifiedLayerNormalization", [f(b * s, h), f(b * s, h), f(h)],
                   epsilon=1e-6)

    words, places, segments = f(30, 16), f(12, 16), f(2, 16)
    ids, kinds = rng.integers(0, 30, (2, 7)).astype(I32), rng.integers(0, 2, (2, 7)).astype(I32)
    mask = np.array([[1, 1, 1, 1, 0, 0, 0], [1] * 7], I32)
    yield Case("embed_ln", "EmbedLayerNormalization", [ids, kinds, words, places, segments, f(16), f(16), mask],
               ["y", "index", "sum"], constants=(2, 3, 4, 5, 6))
    yield Case("embed_ln_plain", "EmbedLayerNormalization", [ids, None, words, places, None, f(16), f(16)], ["y", "index"], constants=(2, 3, 4, 5, 6))
    yield Case("embed_ln_positions", "EmbedLayerNormalization",
               [ids, kinds, words, places, segments, f(16), f(16), None, rng.integers(0, 12, (1, 7)).astype(I32)], ["y", "index"], constants=(2, 3, 4, 5, 6))

    for interleaved in (0, 1):
        cos, sin = rope(20, 8)
        pos = rng.integers(0, 20, (2, 5)).astype(I64)
        yield Case(f"rotary_3d_{interleaved}", "RotaryEmbedding", [f(2, 5, 48), pos, cos, sin], interleaved=interleaved)
        yield Case(f"rotary_offset_{interleaved}", "RotaryEmbedding", [f(2, 5, 48), np.array([3], I64), cos, sin],
                   interleaved=interleaved)
        yield Case(f"rotary_4d_{interleaved}", "RotaryEmbedding", [f(2, 3, 5, 16), pos, cos, sin], interleaved=interleaved)
        yield Case(f"rotary_partial_{interleaved}", "RotaryEmbedding", [f(2, 5, 72), pos, cos, sin], interleaved=interleaved,
                   num_heads=3, rotary_embedding_dim=16)
        yield Case(f"rotary_scale_{interleaved}", "RotaryEmbedding", [f(2, 5, 48), pos, cos, sin], interleaved=interleaved,
                   scale=0.5)

    for bits in (4, 8):
        for k, n, block in [(32, 5, 16), (100, 33, 32), (256, 64, 128), (70, 40, 64)]:
            blocks = -(-k // block)
            b = rng.integers(0, 256, (n, blocks, block * bits // 8)).astype(U8)
            scales = positive(n, blocks)
            zeros = rng.integers(0, 256, (n, -(-blocks * bits // 8))).astype(U8)
            for kind, zp, bias in [("plain", None, None), ("zero", zeros, None), ("float_zero", f(n, blocks, scale=8), None),
                                   ("bias", None, f(n))]:
                if kind == "float_zero" and bits == 8:
                    continue
                yield Case(f"nbits{bits}_{kind}_{k}x{n}_{block}", "MatMulNBits", [f(2, 3, k), b, scales, zp, None, bias],
                           constants=(1, 2, 3, 5), K=k, N=n, bits=bits, block_size=block, tolerance=1e-4)

    for ta in (0, 1):
        for tb in (0, 1):
            yield Case(f"fused_matmul_{ta}{tb}", "FusedMatMul",
                       [f(2, 3, *((9, 7) if ta else (7, 9))), f(2, 3, *((11, 9) if tb else (9, 11)))], transA=ta, transB=tb, alpha=0.37)
            yield Case(f"fused_matmul_constant_{ta}{tb}", "FusedMatMul",
                       [f(2, 3, *((9, 7) if ta else (7, 9))), f(*((11, 9) if tb else (9, 11)))], constants=(1,), transA=ta, transB=tb, alpha=2.0)

    for dtype in (I8, U8):
        info = np.iinfo(dtype)
        b = rng.integers(info.min, info.max, (48, 70)).astype(dtype)
        for constant in ((), (1,)):
            zero_point = rng.integers(info.min, info.max, 70).astype(dtype)
            yield product(f"dqmm_{dtype.__name__}_{len(constant)}", "DynamicQuantizeMatMul",
                          [f(2, 5, 48), b, positive(70), zero_point, f(70)], 3, constant)
            yield product(f"dqmm_scalar_{dtype.__name__}_{len(constant)}", "DynamicQuantizeMatMul",
                          [f(2, 5, 48), b, positive(1), None, None], 3, constant)
        for adtype in (I8, U8):
            ai = np.iinfo(adtype)
            a = rng.integers(ai.min, ai.max, (2, 5, 48)).astype(adtype)
            if (adtype, dtype) == (I8, U8):
                continue
            inputs = [a, b, positive(1), positive(70), np.array(7, adtype), rng.integers(info.min, info.max, 70).astype(dtype), f(70)]
            yield product(f"mmi2f_{adtype.__name__}_{dtype.__name__}", "MatMulIntegerToFloat", inputs, 5)

    for b, s, l, n, h in [(1, 1, 1, 1, 8), (2, 5, 5, 3, 16), (2, 4, 9, 2, 32), (1, 70, 70, 2, 32), (2, 130, 130, 1, 64)]:
        q, k, v, bias = f(b, s, n * h), f(b, l, n * h), f(b, l, n * h), f(3 * n * h)
        tag = f"{b}_{s}_{l}_{n}_{h}"
        yield Case(f"mha_{tag}", "MultiHeadAttention", [q, k, v], num_heads=n)
        yield Case(f"mha_bias_{tag}", "MultiHeadAttention", [q, k, v, bias], num_heads=n, scale=0.3)
        keep = rng.integers(1, l + 1, b).astype(I32)
        raw = (np.arange(l)[None] < keep[:, None]).astype(I32)
        yield Case(f"mha_mask2d_{tag}", "MultiHeadAttention", [q, k, v, bias, raw], num_heads=n)
        yield Case(f"mha_mask1d_{tag}", "MultiHeadAttention", [q, k, v, None, keep], num_heads=n)
        yield Case(f"mha_mask3d_{tag}", "MultiHeadAttention", [q, k, v, None, rng.integers(0, 2, (b, s, l)).astype(I32)], num_heads=n)
        yield Case(f"mha_masked_{tag}", "MultiHeadAttention", [q, k, v, None, np.zeros((b, l), I32)], num_heads=n)
        yield Case(f"mha_filter_{tag}", "MultiHeadAttention", [q, k, v, None, raw], num_heads=n, mask_filter_value=-3.0)
        for bb, nn in {(b, n), (1, n), (b, 1), (1, 1)}:
            yield Case(f"mha_rel_{bb}{nn}_{tag}", "MultiHeadAttention", [q, k, v, None, raw, f(bb, nn, s, l)], num_heads=n)
        yield Case(f"mha_present_{tag}", "MultiHeadAttention", [q, k, v, bias], ["y", "pk", "pv"], num_heads=n)
        past_k, past_v = f(b, n, 3, h), f(b, n, 3, h)
        if s == l:
            yield Case(f"mha_causal_{tag}", "MultiHeadAttention", [q, k, v], num_heads=n, unidirectional=1)
            yield Case(f"mha_past_{tag}", "MultiHeadAttention", [q, k, v, None, None, None, past_k, past_v], ["y", "pk", "pv"], num_heads=n)
            yield Case(f"mha_past_causal_{tag}", "MultiHeadAttention", [q, k, v, bias, None, None, past_k, past_v], ["y", "pk", "pv"],
                       num_heads=n, unidirectional=1)
            yield Case(f"mha_past_mask_{tag}", "MultiHeadAttention",
                       [q, k, v, None, rng.integers(0, 2, (b, l + 3)).astype(I32), f(b, n, s, l + 3), past_k, past_v], ["y", "pk", "pv"],
                       num_heads=n)
            yield Case(f"mha_past_empty_{tag}", "MultiHeadAttention",
                       [q, k, v, None, None, None, f(b, n, 0, h), f(b, n, 0, h)], ["y", "pk", "pv"], num_heads=n)
        yield Case(f"mha_by_head_{tag}", "MultiHeadAttention", [q, f(b, n, l, h), f(b, n, l, h)], num_heads=n)
        yield Case(f"mha_by_head_bias_{tag}", "MultiHeadAttention", [q, f(b, n, l, h), f(b, n, l, h), bias], num_heads=n)
        yield Case(f"mha_value_size_{tag}", "MultiHeadAttention", [q, k, f(b, l, n * 24)], num_heads=n)

    for b, s, inner, n, h in [(2, 5, 20, 3, 8), (1, 33, 16, 2, 16)]:
        x, w, bias = f(b, s, inner), f(inner, 3 * n * h, scale=0.3), f(3 * n * h)
        tag = f"{b}_{s}_{n}_{h}"
        keep = rng.integers(1, s + 1, b).astype(I32)
        raw = (np.arange(s)[None] < keep[:, None]).astype(I32)
        yield Case(f"attention_{tag}", "Attention", [x, w, bias], constants=(1, 2), num_heads=n)
        yield Case(f"attention_causal_{tag}", "Attention", [x, w, bias], constants=(1,), num_heads=n, unidirectional=1)
        yield Case(f"attention_mask_{tag}", "Attention", [x, w, bias, raw], constants=(1,), num_heads=n)
        yield Case(f"attention_mask1d_{tag}", "Attention", [x, w, bias, keep], constants=(1,), num_heads=n)
        yield Case(f"attention_mask_ranges_{tag}", "Attention", [x, w, bias, np.concatenate([keep, keep // 2]).astype(I32)], constants=(1,), num_heads=n)
        yield Case(f"attention_mask3d_{tag}", "Attention", [x, w, bias, rng.integers(0, 2, (b, s, s)).astype(I32)], constants=(1,), num_heads=n)
        yield Case(f"attention_past_{tag}", "Attention", [x, w, bias, None, f(2, b, n, 4, h)], ["y", "p"], constants=(1,), num_heads=n, unidirectional=1)
        yield Case(f"attention_bias_{tag}", "Attention", [x, w, bias, None, None, f(1, n, s, s)], constants=(1,), num_heads=n, scale=0.2)
        yield Case(f"attention_sizes_{tag}", "Attention", [x, f(inner, 2 * n * h + n * 4), f(2 * n * h + n * 4)], constants=(1,), num_heads=n,
                   qkv_hidden_sizes=[n * h, n * h, n * 4])

    def gqa(name, b, s, past, n, kv, h, packed=False, lengths=None, capacity=None, position_ids=None, bias=None, rotary=False, half=None, **attributes):
        total = past + s
        q = f(b, s, (n + 2 * kv) * h if packed else n * h)
        k = None if packed else f(b, s, kv * h)
        v = None if packed else f(b, s, kv * h)
        room = past if capacity is None else capacity
        lengths = np.full(b, total, I32) if lengths is None else np.array(lengths, I32)
        cos, sin = rope(200, half or h // 2) if rotary else (None, None)
        pk, pv = f(b, kv, room, h), f(b, kv, room, h)

        seen = np.arange(past, total)[None] < lengths[:, None]
        cached = np.arange(max(room, total))[None] < lengths[:, None]
        keep = {"y": seen[:, :, None].astype(F32), "pk": cached[:, None, :, None].astype(F32)}
        keep["pv"] = keep["pk"]
        return Case(f"gqa_{name}_{b}_{s}_{past}_{n}_{kv}_{h}", "GroupQueryAttention",
                    [q, k, v, pk, pv, lengths - 1, np.array(total, I32), cos, sin, position_ids, bias],
                    ["y", "pk", "pv"], keep=keep, num_heads=n, kv_num_heads=kv, do_rotary=int(rotary), **attributes)

    for b, s, n, kv, h in [(1, 1, 1, 1, 16), (2, 5, 4, 2, 16), (1, 70, 3, 1, 32), (2, 130, 4, 4, 64)]:
        yield gqa("prompt", b, s, 0, n, kv, h)
        yield gqa("prompt_rotary", b, s, 0, n, kv, h, rotary=True)
        yield gqa("prompt_interleaved", b, s, 0, n, kv, h, rotary=True, rotary_interleaved=1)
        yield gqa("prompt_packed", b, s, 0, n, kv, h, packed=True, rotary=True)
        yield gqa("prompt_padded", b, s, 0, n, kv, h, rotary=True, lengths=[s - i if s > i else s for i in range(b)])
        yield gqa("prompt_window", b, s, 0, n, kv, h, rotary=True, local_window_size=3)
        yield gqa("prompt_softcap", b, s, 0, n, kv, h, softcap=0.7, scale=0.9)
        yield gqa("prompt_bias", b, s, 0, n, kv, h, bias=f(1, n, s, s))
        yield gqa("prompt_bias_one", b, s, 0, n, kv, h, bias=f(b, 1, s, s), rotary=True)
        yield gqa("prompt_positions", b, s, 0, n, kv, h, rotary=True, position_ids=np.tile(np.arange(s, dtype=I64) + 2, (b, 1)))
        yield gqa("prompt_all", b, s, 0, n, kv, h, causal=0)
        yield gqa("decode", b, 1, 6, n, kv, h, rotary=True)
        yield gqa("decode_uneven", b, 1, 6, n, kv, h, rotary=True, lengths=[7 - i for i in range(b)])
        yield gqa("decode_window", b, 1, 6, n, kv, h, local_window_size=4)
        yield gqa("decode_positions", b, 1, 6, n, kv, h, rotary=True, position_ids=np.full((b, 1), 11, I64))
        yield gqa("chunk", 1, s, 6, n, kv, h, rotary=True)
        if h == 64:
            yield gqa("partial", b, s, 0, n, kv, h, rotary=True, half=16)
