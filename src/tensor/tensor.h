#pragma once
// A dense row-major tensor: element type, shape, bytes. Copying a Tensor copies a handle, never the
// bytes: they are shared, owned by whoever made them (heap, mapped file, arena), and immutable once
// shared. Write through mutable_data() only right after make().

#include <cassert>
#include <cstddef>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

#include "tensor/dtype.h"
#include "tensor/shape.h"

namespace octavo {

class Tensor {
 public:
  Tensor() = default;  // dtype undefined, no bytes

  // Zero-filled, 64-byte aligned. Errors: invalid shape, out_of_memory.
  static Result<Tensor> make(DType dtype, Shape shape);
  // Bytes that live elsewhere: `keeper` holds them alive. Errors: bytes.size() does not fit the
  // shape. file_backed: they lie in a MappedFile, so drop_pages() may give them back.
  static Result<Tensor> borrow(DType dtype, Shape shape, std::span<const std::byte> bytes,
                               std::shared_ptr<const void> keeper, bool file_backed = false);
  // From values, for tests and small constants. Precondition: values.size() fits the shape.
  template <class T>
  static Tensor of(Shape shape, const std::vector<T>& values) {
    Result<Tensor> made = make(dtype_of<T>(), std::move(shape));
    assert(made && static_cast<size_t>(made->size()) == values.size());
    if constexpr (std::is_same_v<T, bool>) {
      for (size_t i = 0; i < values.size(); ++i) made->mutable_data<bool>()[i] = values[i];
    } else if (!values.empty()) {
      std::memcpy(made->mutable_bytes().data(), values.data(), values.size() * sizeof(T));
    }
    return *std::move(made);
  }
  template <class T>
  static Tensor scalar(T value) {
    return of<T>({}, std::vector<T>{value});
  }

  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  size_t rank() const { return shape_.size(); }
  int64_t dim(size_t axis) const { return shape_[axis]; }
  int64_t size() const { return size_; }  // elements
  bool defined() const { return dtype_ != DType::undefined; }

  std::span<const std::byte> bytes() const { return {data_, byte_size_}; }
  std::span<std::byte> mutable_bytes() { return {const_cast<std::byte*>(data_), byte_size_}; }

  // Precondition: T is the element type (f16 and bf16 are read as uint16_t, 4-bit types as
  // uint8_t).
  template <class T>
  const T* data() const {
    assert(fits<T>());
    return reinterpret_cast<const T*>(data_);
  }
  template <class T>
  T* mutable_data() {
    assert(fits<T>());
    return const_cast<T*>(reinterpret_cast<const T*>(data_));
  }
  template <class T>
  std::span<const T> values() const {
    return {data<T>(), static_cast<size_t>(size_)};
  }

  // The same bytes under another shape. Errors: the element count differs.
  Result<Tensor> reshaped(Shape shape) const;
  // A heap copy that nothing else shares.
  Result<Tensor> clone() const;
  // Gives file-backed pages back after streaming over them; otherwise does nothing.
  void drop_pages() const;
  bool file_backed() const { return file_backed_; }

 private:
  template <class T>
  bool fits() const {
    if constexpr (std::is_same_v<T, uint16_t>) {
      if (dtype_ == DType::f16 || dtype_ == DType::bf16) return true;
    }
    if constexpr (std::is_same_v<T, uint8_t>) {
      if (dtype_ == DType::u4 || dtype_ == DType::i4 || dtype_ == DType::boolean) return true;
    }
    return dtype_of<T>() == dtype_;
  }

  DType dtype_ = DType::undefined;
  bool file_backed_ = false;
  Shape shape_;
  int64_t size_ = 0;
  size_t byte_size_ = 0;
  const std::byte* data_ = nullptr;
  std::shared_ptr<const void> keeper_;
};

}  // namespace octavo
