#pragma once
// The matrix unit (AMX-TILE, AMX-INT8) in plain C++, as Intel's manual has it, for CPUs without it
// and for those that would not tell: what real tiles refuse with a fault (a shape that does not
// fit, a tile of no shape) ends the program here too.

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>

namespace octavo::simde {

struct Tile {
  size_t rows = 0;
  size_t bytes = 0;
  uint8_t data[16][64] = {};
};
inline thread_local Tile tiles[8];

inline void need(bool holds) {
  if (!holds) std::abort();
}

inline Tile& tile(int i) {
  need(i >= 0 && i < 8 && tiles[i].rows > 0);
  return tiles[i];
}

inline void tile_loadconfig(const void* p) {
  uint8_t config[64];
  std::memcpy(config, p, sizeof config);
  need(config[0] == 1 && config[1] == 0);
  for (size_t i = 2; i < 16; ++i) need(config[i] == 0);
  for (size_t i = 0; i < 8; ++i) {
    tiles[i] = {};
    std::memcpy(&tiles[i].bytes, config + 16 + 2 * i, 2);
    tiles[i].rows = config[48 + i];
    need(tiles[i].rows <= 16 && tiles[i].bytes <= 64 &&
         (tiles[i].rows == 0) == (tiles[i].bytes == 0));
  }
}
inline void tile_release() {
  for (Tile& t : tiles) t = {};
}

inline void tile_zero(int i) { std::memset(tile(i).data, 0, sizeof tile(i).data); }
inline void tile_load(int i, const void* p, size_t stride) {
  Tile& t = tile(i);
  std::memset(t.data, 0, sizeof t.data);
  for (size_t r = 0; r < t.rows; ++r)
    std::memcpy(t.data[r], static_cast<const char*>(p) + r * stride, t.bytes);
}
inline void tile_store(int i, void* p, size_t stride) {
  const Tile& t = tile(i);
  for (size_t r = 0; r < t.rows; ++r)
    std::memcpy(static_cast<char*>(p) + r * stride, t.data[r], t.bytes);
}

// c[m][n] += sum of a[m][4 k + i] * b[k][4 n + i], modulo 2^32.
template <class A, class B>
void tile_dot(int ci, int ai, int bi) {
  Tile& c = tile(ci);
  const Tile& a = tile(ai);
  const Tile& b = tile(bi);
  need(ci != ai && ci != bi && ai != bi);
  need(a.bytes % 4 == 0 && b.bytes % 4 == 0);
  need(c.rows == a.rows && c.bytes == b.bytes && a.bytes / 4 == b.rows);
  for (size_t m = 0; m < c.rows; ++m) {
    for (size_t n = 0; n < c.bytes / 4; ++n) {
      uint32_t sum;
      std::memcpy(&sum, &c.data[m][4 * n], 4);
      for (size_t k = 0; k < a.bytes; ++k) {
        const int product =
            static_cast<A>(a.data[m][k]) * static_cast<B>(b.data[k / 4][4 * n + k % 4]);
        sum += static_cast<uint32_t>(product);
      }
      std::memcpy(&c.data[m][4 * n], &sum, 4);
    }
  }
}

}  // namespace octavo::simde

#define _tile_loadconfig(p) octavo::simde::tile_loadconfig(p)
#define _tile_release() octavo::simde::tile_release()
#define _tile_zero(t) octavo::simde::tile_zero(t)
#define _tile_loadd(t, p, stride) octavo::simde::tile_load(t, p, stride)
#define _tile_stored(t, p, stride) octavo::simde::tile_store(t, p, stride)
#define _tile_dpbusd(c, a, b) octavo::simde::tile_dot<uint8_t, int8_t>(c, a, b)
#define _tile_dpbssd(c, a, b) octavo::simde::tile_dot<int8_t, int8_t>(c, a, b)
#define _tile_dpbsud(c, a, b) octavo::simde::tile_dot<int8_t, uint8_t>(c, a, b)
#define _tile_dpbuud(c, a, b) octavo::simde::tile_dot<uint8_t, uint8_t>(c, a, b)
