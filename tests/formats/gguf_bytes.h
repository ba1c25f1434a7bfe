#pragma once
// GGUF bytes written by hand for tests, valid or deliberately not.

#include <cstdint>
#include <string>
#include <vector>

#include "formats/gguf.h"

namespace octavo {

class GgufBytes {
 public:
  template <class T>
  GgufBytes& raw(T value) {
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(T));
    return *this;
  }
  GgufBytes& bytes(const std::string& s) {
    bytes_ += s;
    return *this;
  }
  GgufBytes& text(const std::string& s) { return raw<uint64_t>(s.size()).bytes(s); }
  GgufBytes& header(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    return bytes("GGUF").raw(version).raw(tensors).raw(keys);
  }
  GgufBytes& key(const std::string& name, GgufType type) {
    return text(name).raw(static_cast<uint32_t>(type));
  }
  GgufBytes& array(GgufType element, uint64_t count) {
    return raw(static_cast<uint32_t>(element)).raw(count);
  }
  // dims: the innermost first, as in the file.
  GgufBytes& tensor(const std::string& name, const std::vector<uint64_t>& dims, uint32_t type,
                    uint64_t offset) {
    text(name).raw(static_cast<uint32_t>(dims.size()));
    for (const uint64_t d : dims) raw(d);
    return raw(type).raw(offset);
  }
  GgufBytes& pad(size_t alignment = 32) {
    bytes_.resize((bytes_.size() + alignment - 1) / alignment * alignment);
    return *this;
  }
  const std::string& str() const { return bytes_; }

 private:
  std::string bytes_;
};

// A whole file: metadata and float32 tensors.
class GgufFileBytes {
 public:
  GgufFileBytes& text(const std::string& key, const std::string& value) {
    meta_.key(key, GgufType::string).text(value);
    return count();
  }
  GgufFileBytes& u32(const std::string& key, uint32_t value) {
    meta_.key(key, GgufType::u32).raw(value);
    return count();
  }
  GgufFileBytes& f32(const std::string& key, float value) {
    meta_.key(key, GgufType::f32).raw(value);
    return count();
  }
  GgufFileBytes& boolean(const std::string& key, bool value) {
    meta_.key(key, GgufType::boolean).raw<uint8_t>(value ? 1 : 0);
    return count();
  }
  GgufFileBytes& texts(const std::string& key, const std::vector<std::string>& values) {
    meta_.key(key, GgufType::array).array(GgufType::string, values.size());
    for (const auto& v : values) meta_.text(v);
    return count();
  }
  GgufFileBytes& i32s(const std::string& key, const std::vector<int32_t>& values) {
    meta_.key(key, GgufType::array).array(GgufType::i32, values.size());
    for (const auto v : values) meta_.raw(v);
    return count();
  }
  GgufFileBytes& f32s(const std::string& key, const std::vector<float>& values) {
    meta_.key(key, GgufType::array).array(GgufType::f32, values.size());
    for (const auto v : values) meta_.raw(v);
    return count();
  }
  // shape: outermost first; values are repeated as often as it takes.
  GgufFileBytes& tensor(const std::string& name, const std::vector<uint64_t>& shape,
                        const std::vector<float>& values = {0}) {
    directory_.tensor(name, {shape.rbegin(), shape.rend()}, 0, data_.str().size());
    uint64_t n = 1;
    for (const uint64_t d : shape) n *= d;
    for (uint64_t i = 0; i < n; ++i) data_.raw(values[i % values.size()]);
    data_.pad();
    ++tensors_;
    return *this;
  }
  std::string str() const {
    GgufBytes all;
    all.header(tensors_, keys_).bytes(meta_.str()).bytes(directory_.str()).pad();
    return all.bytes(data_.str()).str();
  }

 private:
  GgufFileBytes& count() {
    ++keys_;
    return *this;
  }
  GgufBytes meta_;
  GgufBytes directory_;
  GgufBytes data_;
  uint64_t keys_ = 0;
  uint64_t tensors_ = 0;
};

}  // namespace octavo
