#include "embed/token_feeds.h"

namespace octavo {

namespace {

template <class T>
void fill(Signature::Role role, std::span<const int64_t> ids, int64_t length, T* out) {
  for (size_t i = 0; i < ids.size(); ++i) {
    const auto position = static_cast<int64_t>(i) % length;
    switch (role) {
      case Signature::Role::ids:
        out[i] = static_cast<T>(ids[i]);
        break;
      case Signature::Role::mask:
        out[i] = 1;
        break;
      case Signature::Role::types:
        out[i] = 0;
        break;
      case Signature::Role::positions:
        out[i] = static_cast<T>(position);
        break;
      case Signature::Role::past:  // has no elements
        break;
    }
  }
}

}  // namespace

Result<std::vector<Feed>> token_feeds(std::span<const Signature::Input> inputs,
                                      std::span<const int64_t> ids, int64_t rows) {
  const int64_t length = static_cast<int64_t>(ids.size()) / rows;
  std::vector<Feed> feeds;
  for (const Signature::Input& input : inputs) {
    Shape shape{rows, length};
    if (input.role == Signature::Role::past) {
      shape = input.past;
      shape[0] = rows;
    }
    OCTAVO_TRY(Tensor tensor, Tensor::make(input.dtype, shape));
    if (input.role == Signature::Role::past) {
      // Empty: there is nothing to fill in.
    } else if (input.dtype == DType::i64) {
      fill(input.role, ids, length, tensor.mutable_data<int64_t>());
    } else {
      fill(input.role, ids, length, tensor.mutable_data<int32_t>());
    }
    feeds.emplace_back(input.name, std::move(tensor));
  }
  return feeds;
}

}  // namespace octavo
