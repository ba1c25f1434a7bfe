// Input: a GGUF file. What becomes a snapshot has a tokenizer.json that the tokenizer takes or
// refuses in words, and weights that load or say why not.

#include "toolkit/gguf_snapshot.h"

#include <cstdlib>
#include <span>

#include "text/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace octavo;
  const auto file = Gguf::parse(FileBytes::copy_of(std::as_bytes(std::span(data, size))), "fuzz");
  if (!file) return 0;
  const auto snapshot = gguf_snapshot(*file);
  if (!snapshot) return 0;
  for (const WeightEntry& entry : snapshot->weights->entries())
    static_cast<void>(snapshot->weights->load(entry.name));
  if (!snapshot->files.contains("config.json")) std::abort();
  const auto tokenizer = Tokenizer::parse(snapshot->files.at("tokenizer.json"), "fuzz");
  if (tokenizer) static_cast<void>(tokenizer->encode("ab abc \xc3\xa4 1"));
  return 0;
}
