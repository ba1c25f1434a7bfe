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

}  // namespace octavo
