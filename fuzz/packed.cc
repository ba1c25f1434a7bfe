// Input: a packed model. As it is, and with its checksums made right again so that what lies behind
// them is reached: whatever is accepted becomes an encoder or says why not, and that embeds a text.

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include "embed/packed_file.h"
#include "formats/safetensors.h"

namespace {

using namespace octavo;

void use(FileBytes bytes) {
  static ThreadPool pool(1);
  auto packed = parse_packed(std::move(bytes), "fuzz", pool);
  if (!packed) return;
  const auto encoder = fused::FusedEncoder::create(std::move(packed->header.spec), packed->lookup);
  if (!encoder) return;
  const fused::EncoderSpec& spec = encoder->spec();
  if (encoder->workspace_bytes(3) > size_t{64} << 20) return;
  const std::array<int64_t, 3> ids{0, static_cast<int64_t>(spec.vocabulary) - 1, 0};
  const std::array<size_t, 2> offsets{
      0, spec.positions == 0 ? 3 : std::min<size_t>(3, spec.positions)};
  std::vector<float> rows(3 * spec.hidden);
  static_cast<void>(encoder->run(std::span(ids).first(offsets[1]), offsets, pool, {}, rows.data()));
}

// The checksums as write_packed would have written them, where there is room for them.
std::vector<uint8_t> sealed(std::span<const uint8_t> data) {
  std::vector<uint8_t> out(data.begin(), data.end());
  const auto parsed = parse_safetensors_file(FileBytes::copy_of(std::as_bytes(data)), "fuzz");
  if (!parsed) return out;
  auto metadata = parsed->metadata;
  std::vector<uint64_t> sums;
  for (const WeightEntry& e : parsed->weights->entries()) {
    const auto tensor = parsed->weights->load_as_stored(e.name);
    if (!tensor) return out;
    sums.push_back(XXH3_64bits(tensor->bytes().data(), tensor->bytes().size()));
  }
  if (sums.empty() || data.size() < sums.size() * sizeof(uint64_t)) return out;
  const std::string about = metadata["octavo.spec"] + '\n' + metadata["octavo.sources"] + '\n' +
                            metadata["octavo.content"] + '\n' + metadata["octavo.table"];
  sums.back() = XXH3_64bits(about.data(), about.size());
  const size_t size = sums.size() * sizeof(uint64_t);
  std::memcpy(out.data() + out.size() - size, sums.data(), size);  // the last tensor
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::span bytes(data, size);
  use(FileBytes::copy_of(std::as_bytes(bytes)));
  const std::vector<uint8_t> again = sealed(bytes);
  if (!std::equal(again.begin(), again.end(), bytes.begin(), bytes.end()))
    use(FileBytes::copy_of(std::as_bytes(std::span(again))));
  return 0;
}
