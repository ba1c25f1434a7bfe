// Einsum: any number of operands, repeated labels (diagonals), ellipsis, implicit output. Two
// float32 operands whose summed labels are in both become batched matrix products; everything else
// is the definition itself, a sum over all positions of the labels.

#include <algorithm>
#include <map>
#include <string>

#include "runtime/ops/elements.h"
#include "runtime/ops/families.h"
#include "runtime/ops/strided_copy.h"

namespace octavo::ops {

namespace {

// Labels are small numbers: letters as they are, dimensions of the ellipsis counted from its end
// (-1, -2, ...), so that operands broadcast from the right.
using Label = int;
using Labels = std::vector<Label>;

struct Term {
  std::string letters;  // with '.' once for the ellipsis
};

struct Equation {
  std::vector<Term> inputs;
  Term output;
};

Result<Term> parse_term(const std::string& text) {
  Term term;
  bool ellipsis = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z')) {
      term.letters += c;
    } else if (text.compare(i, 3, "...") == 0 && !ellipsis) {
      term.letters += '.';
      ellipsis = true;
      i += 2;
    } else {
      return Error{Code::invalid_input, "the equation's term \"" + text + "\" is malformed"};
    }
  }
  return term;
}

Result<Equation> parse(std::string text) {
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  Equation equation;
  const size_t arrow = text.find("->");
  std::string left = text.substr(0, arrow);
  for (size_t from = 0; from <= left.size();) {
    const size_t comma = std::min(left.find(',', from), left.size());
    OCTAVO_TRY(Term term, parse_term(left.substr(from, comma - from)));
    equation.inputs.push_back(std::move(term));
    from = comma + 1;
  }
  if (arrow != std::string::npos) {
    OCTAVO_TRY(equation.output, parse_term(text.substr(arrow + 2)));
    return equation;
  }
  // Implicit: the ellipsis, then every letter that occurs once, in alphabetical order.
  std::map<char, int> times;
  for (const Term& t : equation.inputs) {
    for (const char c : t.letters) ++times[c];
  }
  if (times.contains('.')) equation.output.letters = ".";
  for (const auto& [c, n] : times) {
    if (c != '.' && n == 1) equation.output.letters += c;
  }
  return equation;
}

// One operand: how far a step of each label moves in it.
struct Operand {
  const Tensor* tensor = nullptr;
  std::map<Label, int64_t> strides;
};

// The whole contraction with sizes known.
struct Contraction {
  std::map<Label, int64_t> sizes;
  std::vector<Operand> operands;
  Labels output;
  Labels summed;

  int64_t stride(size_t operand, Label l) const {
    const auto it = operands[operand].strides.find(l);
    return it == operands[operand].strides.end() ? 0 : it->second;
  }
  bool has(size_t operand, Label l) const { return operands[operand].strides.contains(l); }
  Ints sizes_of(const Labels& labels) const {
    Ints out;
    for (const Label l : labels) out.push_back(sizes.at(l));
    return out;
  }
  Ints strides_in(size_t operand, const Labels& labels) const {
    Ints out;
    for (const Label l : labels) out.push_back(stride(operand, l));
    return out;
  }
};

Result<Contraction> bind(const Equation& equation, const OpContext& context) {
  if (equation.inputs.size() != context.inputs())
    return Error{Code::invalid_input, "the equation has " + std::to_string(equation.inputs.size()) +
                                          " terms for " + std::to_string(context.inputs()) +
                                          " inputs"};
  Contraction c;
  int ellipsis = 0;  // most dimensions that one stands for
  for (size_t i = 0; i < context.inputs(); ++i) {
    const Tensor* t = context.input(i);
    if (t == nullptr) return Error{Code::invalid_input, "an input is left out"};
    OCTAVO_CHECK(same_dtype(context.required(0), *t));
    const std::string& letters = equation.inputs[i].letters;
    const bool open = letters.find('.') != std::string::npos;
    const size_t named = letters.size() - (open ? 1 : 0);
    if (t->rank() < named || (!open && t->rank() != named))
      return Error{Code::invalid_input,
                   "term " + std::to_string(i) + " does not fit " + to_string(t->shape())};
    const int extra = static_cast<int>(t->rank() - named);
    ellipsis = std::max(ellipsis, extra);
    Operand operand{t, {}};
    const Ints strides = strides_of(t->shape());
    size_t d = 0;
    const auto take = [&](Label l) -> Status {
      const int64_t dim = t->dim(d);
      const auto [it, fresh] = c.sizes.try_emplace(l, dim);
      if (!fresh && it->second == 1) it->second = dim;
      if (dim != it->second && dim != 1)
        return Error{Code::invalid_input, "one label stands for dimensions of " +
                                              std::to_string(it->second) + " and " +
                                              std::to_string(dim)};
      operand.strides[l] += dim == 1 ? 0 : strides[d];
      ++d;
      return Done{};
    };
    for (const char letter : letters) {
      if (letter != '.') {
        OCTAVO_CHECK(take(letter));
        continue;
      }
      for (int k = extra; k > 0; --k) OCTAVO_CHECK(take(-k));
    }
    c.operands.push_back(std::move(operand));
  }
  for (const char letter : equation.output.letters) {
    if (letter == '.') {
      for (int k = ellipsis; k > 0; --k) c.output.push_back(-k);
    } else if (c.sizes.contains(letter)) {
      c.output.push_back(letter);
    } else {
      return Error{Code::invalid_input, "the output has a label that no input has"};
    }
  }
  Labels sorted = c.output;
  std::sort(sorted.begin(), sorted.end());
  if (std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end())
    return Error{Code::invalid_input, "the output repeats a label"};
  for (const auto& [l, size] : c.sizes) {
    if (!std::binary_search(sorted.begin(), sorted.end(), l)) c.summed.push_back(l);
  }
  return c;
}

// Walks `dims` with one running offset per operand.
template <class F>
void walk(const Ints& dims, const std::vector<Ints>& strides, std::vector<int64_t> offsets,
          const F& f) {
  int64_t count = 1;
  for (const int64_t d : dims) count *= d;
  Ints at(dims.size(), 0);
  for (int64_t i = 0; i < count; ++i) {
    f(i, offsets);
    for (size_t d = dims.size(); d-- > 0;) {
      for (size_t o = 0; o < offsets.size(); ++o) offsets[o] += strides[o][d];
      if (++at[d] < dims[d]) break;
      at[d] = 0;
      for (size_t o = 0; o < offsets.size(); ++o) offsets[o] -= strides[o][d] * dims[d];
    }
  }
}

template <class T>
Status by_definition(OpContext& context, const Contraction& c, T* out) {
  using C = Compute<T>;
  using Sum = std::conditional_t<std::is_integral_v<C>, uint64_t, C>;
  std::vector<Ints> outer, inner;
  for (size_t o = 0; o < c.operands.size(); ++o) {
    outer.push_back(c.strides_in(o, c.output));
    inner.push_back(c.strides_in(o, c.summed));
  }
  const Ints summed = c.sizes_of(c.summed);
  OCTAVO_CHECK(element_count(summed));
  (void)context;
  walk(c.sizes_of(c.output), outer, std::vector<int64_t>(c.operands.size(), 0),
       [&](int64_t i, const std::vector<int64_t>& from) {
         Sum sum{0};
         walk(summed, inner, from, [&](int64_t, const std::vector<int64_t>& at) {
           Sum term{1};
           for (size_t o = 0; o < at.size(); ++o)
             term *= static_cast<Sum>(static_cast<C>(elements<T>(*c.operands[o].tensor)[at[o]]));
           sum += term;
         });
         out[i] = T(static_cast<C>(sum));
       });
  return Done{};
}

// [batch][m][k] x [batch][k][n] with the labels sorted into those four groups.
class MatrixProduct {
 public:
  static bool fits(const Contraction& c) {
    if (c.operands.size() != 2 || c.operands[0].tensor->dtype() != DType::f32) return false;
    return std::all_of(c.summed.begin(), c.summed.end(), [&](Label l) {
      // A broadcast summed label has a stride of 0 on one side: still a product, once copied.
      return c.has(0, l) && c.has(1, l);
    });
  }

  static Status run(OpContext& context, const Contraction& c, float* out) {
    Labels batch, rows, columns;
    for (const Label l : c.output) {
      (c.has(0, l) && c.has(1, l) ? batch : c.has(0, l) ? rows : columns).push_back(l);
    }
    const auto count = [&](const Labels& labels) { return element_count(c.sizes_of(labels)); };
    OCTAVO_TRY(const int64_t b, count(batch));
    OCTAVO_TRY(const int64_t m, count(rows));
    OCTAVO_TRY(const int64_t n, count(columns));
    OCTAVO_TRY(const int64_t k, count(c.summed));
    OCTAVO_TRY(const float* left, gathered(context, c, 0, {batch, rows, c.summed}));
    OCTAVO_TRY(const float* right, gathered(context, c, 1, {batch, c.summed, columns}));
    const auto um = static_cast<size_t>(m);
    const auto un = static_cast<size_t>(n);
    const auto uk = static_cast<size_t>(k);
    const size_t panel = kernels::packed_f32_floats(uk, un);
    size_t bytes = 0;
    if (__builtin_mul_overflow(static_cast<size_t>(b), panel * sizeof(float), &bytes))
      return Error{Code::invalid_input, "the product is too large"};
    OCTAVO_TRY(const auto packed_bytes, context.scratch(bytes));
    auto* packed = reinterpret_cast<float*>(packed_bytes.data());
    OCTAVO_TRY(const size_t result_bytes, byte_count(DType::f32, Shape{b, m, n}));
    OCTAVO_TRY(const auto result, context.scratch(result_bytes));
    auto* product = reinterpret_cast<float*>(result.data());
    const kernels::Table& table = context.kernels();
    context.pool().parallel_for(static_cast<size_t>(b), 1, [&](size_t begin, size_t end) {
      for (size_t i = begin; i < end; ++i) {
        kernels::pack_f32(uk, un, right + i * uk * un, un, 1, packed + i * panel);
        table.gemm_f32(um, 0, un, uk, left + i * um * uk, uk, packed + i * panel, nullptr,
                       product + i * um * un, un);
      }
    });
    // From [batch][rows][columns] to the order that was asked for.
    Labels made = batch;
    made.insert(made.end(), rows.begin(), rows.end());
    made.insert(made.end(), columns.begin(), columns.end());
    const Ints strides = strides_of(c.sizes_of(made));
    Ints steps;
    for (const Label l : c.output) {
      const auto at = std::find(made.begin(), made.end(), l) - made.begin();
      steps.push_back(strides[static_cast<size_t>(at)]);
    }
    strided_copy(context.pool(), c.sizes_of(c.output), steps, sizeof(float), result.data(),
                 reinterpret_cast<std::byte*>(out));
    return Done{};
  }

 private:
  static Result<const float*> gathered(OpContext& context, const Contraction& c, size_t operand,
                                       const std::vector<Labels>& groups) {
    Labels labels;
    for (const Labels& g : groups) labels.insert(labels.end(), g.begin(), g.end());
    const Ints dims = c.sizes_of(labels);
    OCTAVO_TRY(const size_t bytes, byte_count(DType::f32, dims));
    OCTAVO_TRY(const auto place, context.scratch(bytes));
    strided_copy(context.pool(), dims, c.strides_in(operand, labels), sizeof(float),
                 c.operands[operand].tensor->bytes().data(), place.data());
    return reinterpret_cast<const float*>(place.data());
  }
};

class Einsum final : public Op {
 public:
  explicit Einsum(Equation equation) : equation_(std::move(equation)) {}
  static Result<std::unique_ptr<Op>> make(OpInit& init) {
    OCTAVO_TRY(Equation equation, parse(init.node().string_or("equation", "")));
    return make_op<Einsum>(std::move(equation));
  }

  Status run(OpContext& context) const override {
    OCTAVO_TRY(const Contraction c, bind(equation_, context));
    const DType dtype = context.required(0).dtype();
    return dispatch(Numbers{}, dtype, [&]<class T>() -> Status {
      OCTAVO_TRY(Tensor * y, context.output(0, dtype, c.sizes_of(c.output)));
      if (y->size() == 0) return Done{};
      if constexpr (std::is_same_v<T, float>) {
        if (MatrixProduct::fits(c)) return MatrixProduct::run(context, c, elements<float>(*y));
      }
      return by_definition(context, c, elements<T>(*y));
    });
  }

 private:
  Equation equation_;
};

}  // namespace

void register_einsum(Registry& registry) {
  registry.add({.op_type = "Einsum", .since = 12, .min_inputs = 1, .make = Einsum::make});
}

}  // namespace octavo::ops
