// Input: a GGUF file. What opens answers every question about its metadata, and every tensor loads
// as float32 or says why not.

#include "formats/gguf.h"

#include <cstdlib>
#include <span>

namespace {

size_t walk(const octavo::GgufValue& value) {
  size_t seen = value.integer() || value.number() || value.boolean() ? 1 : 0;
  if (const auto text = value.text()) seen += text->size();
  const octavo::GgufArray* array = value.array();
  if (array == nullptr) return seen;
  for (size_t i = 0; i < array->count && i < 100; ++i)
    seen += array->integer(i) || array->number(i) ? 1 : 0;
  for (const auto text : array->texts) seen += text.size();
  for (const auto& inner : array->arrays) seen += walk(inner);
  return seen;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace octavo;
  const auto file = Gguf::parse(FileBytes::copy_of(std::as_bytes(std::span(data, size))), "fuzz");
  if (!file) return 0;
  for (const auto& [key, value] : (*file)->metadata()) {
    if ((*file)->value(key) != &value) std::abort();
    walk(value);
  }
  for (const WeightEntry& entry : (*file)->entries()) {
    if ((*file)->find(entry.name) != &entry) std::abort();
    const auto tensor = (*file)->load(entry.name);
    if (tensor && (tensor->dtype() != DType::f32 || tensor->shape() != entry.shape)) std::abort();
    static_cast<void>((*file)->load_as_stored(entry.name));
  }
  return 0;
}
