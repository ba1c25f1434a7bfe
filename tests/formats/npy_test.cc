#include "formats/npy.h"

#include "formats/safetensors_writer.h"
#include "formats/weights.h"
#include "temp_folder.h"

namespace octavo {
namespace {

const std::filesystem::path kGolden = std::filesystem::path(OCTAVO_GOLDEN) / "formats";

template <class T>
std::span<const std::byte> bytes_of(const std::vector<T>& values) {
  return std::as_bytes(std::span(values));
}

const std::vector<float> kRows{0, 0.25F, 0.5F, 0.75F, 1, 1.25F};
const std::vector<int64_t> kIds{1, -2, int64_t{1} << 40, 0};

class NpyTest : public TempFolder {};

TEST_F(NpyTest, WritesTheBytesThatNumpyWrites) {
  auto rows = NpyWriter::create(folder_ / "rows.npy", DType::f32, {2});
  ASSERT_TRUE(rows) << rows.error().message;
  const auto bytes = bytes_of(kRows);
  ASSERT_TRUE(rows->append(bytes.first(16)));
  ASSERT_TRUE(rows->append(bytes.subspan(16)));
  EXPECT_FALSE(rows->append(bytes.first(4)));
  EXPECT_EQ(rows->rows(), 3);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "rows.npy"));
  ASSERT_TRUE(rows->commit());
  EXPECT_EQ(read(folder_ / "rows.npy"), read(kGolden / "rows.npy"));

  auto ids = NpyWriter::create(folder_ / "ids.npy", DType::i64, {});
  ASSERT_TRUE(ids);
  ASSERT_TRUE(ids->append(bytes_of(kIds)));
  ASSERT_TRUE(ids->commit());
  EXPECT_EQ(read(folder_ / "ids.npy"), read(kGolden / "ids.npy"));

  EXPECT_EQ(NpyWriter::create(folder_ / "x", DType::bf16, {}).error().code, Code::unsupported);
}

TEST_F(NpyTest, WritesAnArchiveAsZipfileDoes) {
  auto npz = NpzWriter::create(folder_ / "a.npz");
  ASSERT_TRUE(npz);
  EXPECT_FALSE(npz->write(bytes_of(kIds)));
  ASSERT_TRUE(npz->begin("rows", DType::f32, {3, 2}));
  ASSERT_TRUE(npz->write(bytes_of(kRows)));
  ASSERT_TRUE(npz->begin("ids", DType::i64, {4}));
  EXPECT_EQ(npz->begin("more", DType::i64, {1}).error().code, Code::internal);
  ASSERT_TRUE(npz->write(bytes_of(kIds)));
  EXPECT_EQ(npz->write(bytes_of(kIds)).error().code, Code::internal);
  EXPECT_EQ(npz->begin("../x", DType::i64, {1}).error().code, Code::invalid_input);
  ASSERT_TRUE(npz->commit());
  EXPECT_EQ(read(folder_ / "a.npz"), read(kGolden / "arrays.npz"));
}

// The same bytes when the number of rows was not known: the CRC of header and data is joined from
// two.
TEST_F(NpyTest, ArchivesTakeRowsAsTheyCome) {
  auto npz = NpzWriter::create(folder_ / "a.npz");
  ASSERT_TRUE(npz);
  ASSERT_TRUE(npz->begin("rows", DType::f32, {-1, 2}));
  for (size_t row = 0; row < 3; ++row) ASSERT_TRUE(npz->write(bytes_of(kRows).subspan(row * 8, 8)));
  ASSERT_TRUE(npz->begin("ids", DType::i64, {-1}));
  ASSERT_TRUE(npz->write(bytes_of(kIds)));
  ASSERT_TRUE(npz->commit());
  EXPECT_EQ(read(folder_ / "a.npz"), read(kGolden / "arrays.npz"));

  auto half = NpzWriter::create(folder_ / "b.npz");
  ASSERT_TRUE(half);
  ASSERT_TRUE(half->begin("rows", DType::f32, {-1, 2}));
  ASSERT_TRUE(half->write(bytes_of(kRows).subspan(0, 4)));
  EXPECT_EQ(half->commit().error().code, Code::internal);
}

TEST_F(NpyTest, SafetensorsRowsCanBeStreamed) {
  auto writer = SafetensorsWriter::create(folder_ / "e.safetensors",
                                          {{"ids", DType::i64, {4}}, {"rows", DType::f32, {-1, 2}}},
                                          {{"k", "v \"x\""}});
  ASSERT_TRUE(writer) << writer.error().message;
  ASSERT_TRUE(writer->write(bytes_of(kIds)));
  ASSERT_TRUE(writer->write(bytes_of(kRows).first(8)));
  ASSERT_TRUE(writer->write(bytes_of(kRows).subspan(8)));
  ASSERT_TRUE(writer->commit());
  EXPECT_EQ(safetensors_metadata(folder_ / "e.safetensors")->at("k"), "v \"x\"");
  auto source = open_safetensors(folder_ / "e.safetensors");
  ASSERT_TRUE(source) << source.error().message;
  auto rows = (*source)->load("rows");
  ASSERT_TRUE(rows);
  EXPECT_TRUE(rows->file_backed());
  EXPECT_EQ(rows->shape(), (Shape{3, 2}));
  EXPECT_TRUE(std::equal(kRows.begin(), kRows.end(), rows->data<float>()));
  auto ids = (*source)->load_as_stored("ids");
  ASSERT_TRUE(ids);
  EXPECT_TRUE(std::equal(kIds.begin(), kIds.end(), ids->data<int64_t>()));

  auto none = SafetensorsWriter::create(folder_ / "n.safetensors", {{"e", DType::f32, {-1, 2}}});
  ASSERT_TRUE(none && none->commit());
  EXPECT_EQ((*open_safetensors(folder_ / "n.safetensors"))->find("e")->shape, (Shape{0, 2}));
  auto half = SafetensorsWriter::create(folder_ / "h.safetensors", {{"e", DType::f32, {-1, 2}}});
  ASSERT_TRUE(half && half->write(bytes_of(kRows).first(4)));
  EXPECT_EQ(half->commit().error().code, Code::internal);
  auto fixed = SafetensorsWriter::create(folder_ / "f.safetensors", {{"e", DType::f32, {2}}});
  ASSERT_TRUE(fixed && fixed->write(bytes_of(kRows).first(4)));
  EXPECT_EQ(fixed->commit().error().code, Code::internal);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "f.safetensors"));
}

}  // namespace
}  // namespace octavo
