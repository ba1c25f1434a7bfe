// What becomes of the products of gemm_u8s8_f32, over the `F` of <isa>/lanes.inl. A tile's rows of
// 64 floats pass through a buffer in the first-level cache: the activations need the registers that
// the accumulators have, and so exist once instead of once for each height of tile. Included inside
// the anonymous namespace of each ISA, after polynomials.inl.

// f of 64 columns from their sums.
inline void scale_sums(const int32_t* sums, float a_scale, const float* scale, const float* bias,
                       float* f) {
  for (size_t j = 0; j < kPanelS8; j += kLanes) {
    const F product = mul(set(a_scale), load(scale + j));
    const F sum = load_s32(sums + j);
    store(f + j, bias == nullptr ? mul(sum, product) : fma(sum, product, load(bias + j)));
  }
}

inline F relu(F x) { return max(set(0.0F), x); }  // a NaN stays
inline F keep(F x) { return x; }

template <F (*function)(F)>
void activate(size_t rows, size_t columns, const float* f, float* c, size_t ldc) {
  for (; rows > 0; --rows, f += kPanelS8, c += ldc) map<function>(columns, f, c);
}
template <F (*function)(F)>
void activate_gate(size_t rows, const float* f, float* c, size_t ldc) {
  constexpr size_t kHalf = kPanelS8 / 2;
  for (; rows > 0; --rows, f += kPanelS8, c += ldc) {
    for (size_t j = 0; j < kHalf; j += kLanes) {
      store(c + j, mul(function(load(f + j)), load(f + kHalf + j)));
    }
  }
}

inline bool is_gated(Epilogue e) {
  return e == Epilogue::swiglu || e == Epilogue::geglu || e == Epilogue::geglu_tanh;
}

// Rows of f, 64 apart, to C: `columns` of them, or 32 of a gated pair. Apart from its callers,
// which have loops that want all the registers.
[[gnu::noinline]] void finish(Epilogue epilogue, size_t rows, size_t columns, const float* f,
                              float* c, size_t ldc) {
  switch (epilogue) {
    case Epilogue::store:
      return activate<keep>(rows, columns, f, c, ldc);
    case Epilogue::add:
      for (size_t i = 0; i < rows; ++i) add_to(columns, f + i * kPanelS8, c + i * ldc);
      return;
    case Epilogue::gelu:
      return activate<gelu>(rows, columns, f, c, ldc);
    case Epilogue::gelu_tanh:
      return activate<gelu_tanh>(rows, columns, f, c, ldc);
    case Epilogue::silu:
      return activate<silu>(rows, columns, f, c, ldc);
    case Epilogue::relu:
      return activate<relu>(rows, columns, f, c, ldc);
    case Epilogue::swiglu:
      return activate_gate<silu>(rows, f, c, ldc);
    case Epilogue::geglu:
      return activate_gate<gelu>(rows, f, c, ldc);
    case Epilogue::geglu_tanh:
      return activate_gate<gelu_tanh>(rows, f, c, ldc);
  }
}
