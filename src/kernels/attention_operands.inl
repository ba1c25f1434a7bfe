// What attention_s16.inl asks of an instruction set, where the products of <isa>/attention.inl read
// keys and values as they are packed. Included after that, inside the anonymous namespace of the
// ISA.

constexpr size_t kTileS16 = 6;  // rows

struct Operands {
  const int16_t* keys;
  const int16_t* values;
  // Of the block at hand. `rows` say for how many queries.
  void take_keys(size_t /*rows*/, size_t /*d*/, const int16_t* packed) { keys = packed; }
  void take_values(size_t /*rows*/, size_t /*padded*/, const int16_t* packed) { values = packed; }
};

// products[r][0 .. 16 * vectors) = q[r] . keys
inline void tile_scores(const Operands& o, size_t rows, size_t vectors, size_t d, const int16_t* q,
                        size_t ldq, int32_t* products) {
  tile_scores(rows, vectors, d, q, ldq, o.keys, products);
}
// out[c] = out[c] * before + now * float(p . v[c]) over 32 keys a half.
inline void tile_values(const Operands& o, size_t rows, size_t halves, size_t padded,
                        const int16_t* probabilities, const float* before, const float* now,
                        float* out) {
  tile_values(rows, halves, padded, probabilities, o.values, before, now, out);
}
