#include "tensor/tensor.h"

#include <cstdlib>
#include <utility>

#include "base/mapped_file.h"

namespace octavo {

namespace {
constexpr size_t kAlignment = 64;  // one cache line, one AVX-512 vector
}

Result<Tensor> Tensor::make(DType dtype, Shape shape) {
  OCTAVO_TRY(const size_t bytes, byte_count(dtype, shape));
  const size_t room = (bytes / kAlignment + 1) * kAlignment;  // never 0, so data() is never null
  // Not aligned_alloc: glibc's does not find the hole that an equal tensor left, so that loading,
  // writing and dropping 400 weights one by one grew to 1.9 GB; and calloc takes large zeros from
  // the kernel untouched.
  const size_t asked = room + kAlignment;
  void* base = asked < bytes ? nullptr : std::calloc(1, asked);
  if (base == nullptr)
    return Error{Code::out_of_memory, "no memory for a tensor " + to_string(shape) + " of " +
                                          std::to_string(bytes) + " bytes"};
  std::shared_ptr<const void> keeper(base, [](const void* p) { std::free(const_cast<void*>(p)); });
  void* data = base;
  size_t space = asked;
  std::align(kAlignment, room, data, space);
  return borrow(dtype, std::move(shape), {static_cast<const std::byte*>(data), bytes},
                std::move(keeper));
}

Result<Tensor> Tensor::borrow(DType dtype, Shape shape, std::span<const std::byte> bytes,
                              std::shared_ptr<const void> keeper, bool file_backed) {
  OCTAVO_TRY(const size_t needed, byte_count(dtype, shape));
  if (needed != bytes.size())
    return Error{Code::invalid_input, "a " + std::string(dtype_name(dtype)) + " tensor " +
                                          to_string(shape) + " takes " + std::to_string(needed) +
                                          " bytes, but there are " + std::to_string(bytes.size())};
  Tensor t;
  t.dtype_ = dtype;
  t.file_backed_ = file_backed;
  t.size_ = *element_count(shape);
  t.shape_ = std::move(shape);
  t.byte_size_ = bytes.size();
  t.data_ = bytes.data();
  t.keeper_ = std::move(keeper);
  return t;
}

Result<Tensor> Tensor::reshaped(Shape shape) const {
  return borrow(dtype_, std::move(shape), bytes(), keeper_, file_backed_);
}

Result<Tensor> Tensor::clone() const {
  OCTAVO_TRY(Tensor copy, make(dtype_, shape_));
  if (byte_size_ != 0) std::memcpy(copy.mutable_bytes().data(), data_, byte_size_);
  return copy;
}

void Tensor::drop_pages() const {
  if (file_backed_) octavo::drop_pages(bytes());
}

}  // namespace octavo
