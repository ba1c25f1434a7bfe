// The matrix unit: eight tiles of up to 16 rows of 64 bytes; a product of two of them adds 16 x 16
// sums of 64 products each. Included inside the anonymous namespace of amx/table.cc.

constexpr size_t kTileHeight = 16;
constexpr size_t kTileBytes = 64;

// What LDTILECFG reads. Tile registers are wiped by it.
struct alignas(64) TileShapes {
  uint8_t palette = 1;
  uint8_t start_row = 0;
  uint8_t reserved[14] = {};
  uint16_t bytes[16] = {};
  uint8_t rows[16] = {};
};
static_assert(sizeof(TileShapes) == 64);

inline void shape(TileShapes& s, int tile, size_t rows, size_t bytes) {
  s.rows[tile] = static_cast<uint8_t>(rows);
  s.bytes[tile] = static_cast<uint16_t>(bytes);
}

// Given back when a kernel ends: tiles in use make every switch of threads save 8 KiB.
struct Tiles {
  bool loaded = false;
  ~Tiles() {
    if (loaded) _tile_release();
  }
  void load(const TileShapes& s) {
    loaded = true;
#ifdef __AMX_TILE__
    // GCC 12's intrinsic tells the compiler of the first eight bytes only, which then does not
    // write the others.
    asm volatile("ldtilecfg %0" ::"m"(s));
#else
    _tile_loadconfig(&s);
#endif
  }
};
