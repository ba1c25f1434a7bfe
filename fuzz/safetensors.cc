// Input: a safetensors file. What opens covers its bytes exactly, and every tensor loads as float32
// or says why not.

#include "formats/safetensors.h"

#include <cstdlib>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace octavo;
  const auto source =
      parse_safetensors(FileBytes::copy_of(std::as_bytes(std::span(data, size))), "fuzz");
  if (!source) return 0;
  size_t bytes = 0;
  for (const WeightEntry& entry : (*source)->entries()) {
    if ((*source)->find(entry.name) != &entry) std::abort();
    const auto tensor = (*source)->load(entry.name);
    if (tensor && (tensor->dtype() != DType::f32 || tensor->shape() != entry.shape)) std::abort();
    if (const auto stored = (*source)->load_as_stored(entry.name)) bytes += stored->bytes().size();
  }
  if (bytes > size) std::abort();
  return 0;
}
