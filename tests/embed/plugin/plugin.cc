// The library inside a shared object that a host program loads and unloads.

#include <algorithm>

#include "octavo/embedder.h"

// Embeds one text on three threads; false when that or the buffer fails.
extern "C" __attribute__((visibility("default"))) bool plugin_embed(const char* folder,
                                                                    const char* text, float* out,
                                                                    size_t room) {
  const auto embedder = octavo::Embedder::open(folder, {.threads = 3});
  if (!embedder) return false;
  const std::string texts[] = {text};
  const auto embeddings = embedder->embed(texts);
  if (!embeddings || embeddings->values.size() > room) return false;
  std::copy(embeddings->values.begin(), embeddings->values.end(), out);
  return true;
}
