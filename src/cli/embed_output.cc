#include "cli/embed_output.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>

#include "base/atomic_file.h"
#include "cli/commands.h"
#include "formats/json.h"
#include "formats/npy.h"
#include "formats/safetensors_writer.h"
#include "tensor/compare.h"

namespace octavo::cli {

namespace {

// Standard output, or a file that appears at finish().
class TextSink {
 public:
  static Result<TextSink> open(const std::string& path) {
    TextSink sink;
    if (!path.empty() && path != "-") {
      OCTAVO_TRY(sink.file_, AtomicFile::create(path));
    }
    return sink;
  }
  Status write(std::string_view text) {
    if (file_) return file_->write(text);
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) return failed();
    return Done{};
  }
  // Whoever waits at the other end of a pipe gets what is there.
  Status flush() {
    if (!file_ && std::fflush(stdout) != 0) return failed();
    return Done{};
  }
  Status finish() {
    if (file_) return file_->commit();
    return flush();
  }

 private:
  static Error failed() {
    return Error{Code::io, std::string("standard output: ") + std::strerror(errno)};
  }
  std::optional<AtomicFile> file_;
};

// Shortest digits that read back as the same float.
void append(std::string& out, float value) {
  char digits[32];
  const auto end = std::to_chars(digits, digits + sizeof digits, value).ptr;
  out.append(digits, end);
}

std::string json_string_of(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

class JsonLines final : public EmbedOutput {
 public:
  explicit JsonLines(TextSink sink) : sink_(std::move(sink)) {}

  Status write(std::span<const Record> records, const Embeddings& embeddings) override {
    auto cut = embeddings.truncated.begin();
    for (size_t i = 0; i < records.size(); ++i) {
      std::string line = "{\"index\":" + std::to_string(index_++);
      if (!records[i].id.empty()) line += ",\"id\":" + records[i].id;
      line += ",\"text\":" + json_string_of(records[i].text);
      if (cut != embeddings.truncated.end() && cut->text == i) {
        line += ",\"truncated_from\":" + std::to_string(cut->full_length);
        ++cut;
      }
      line += ",\"embedding\":[";
      const auto row = embeddings.row(i);
      for (size_t j = 0; j < row.size(); ++j) {
        if (j != 0) line += ',';
        append(line, row[j]);
      }
      line += "]}\n";
      OCTAVO_CHECK(sink_.write(line));
    }
    return sink_.flush();
  }
  Status finish() override { return sink_.finish(); }

 private:
  TextSink sink_;
  uint64_t index_ = 0;
};

// The start of a text on one line, cut between characters.
std::string shortened(const std::string& text, size_t most) {
  std::string out;
  size_t columns = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    const bool starts = (byte & 0xC0U) != 0x80U;
    if (starts && columns == most) return out + "...";
    columns += starts ? 1 : 0;
    out += byte < 0x20 || byte == 0x7F ? ' ' : c;
  }
  return out;
}

// For people: few texts with the cosine of each pair, many with the start of their vectors.
class ForPeople final : public EmbedOutput {
 public:
  explicit ForPeople(TextSink sink) : sink_(std::move(sink)) {}

  Status write(std::span<const Record> records, const Embeddings& embeddings) override {
    for (size_t i = 0; i < records.size(); ++i) {
      const auto row = embeddings.row(i);
      rows_.push_back({shortened(records[i].text, 40),
                       norm(row),
                       {row.begin(), row.begin() + static_cast<ptrdiff_t>(kept(row.size()))}});
    }
    width_ = embeddings.width;
    return Done{};
  }

  Status finish() override {
    Table table({"", "norm", "vector (" + std::to_string(width_) + " numbers)", "text"});
    for (size_t i = 0; i < rows_.size(); ++i) {
      std::string start;
      for (size_t j = 0; j < std::min<size_t>(4, rows_[i].vector.size()); ++j)
        start += fixed(static_cast<double>(rows_[i].vector[j]), 4) + " ";
      table.add({std::to_string(i + 1), fixed(rows_[i].norm, 4), start + "...", rows_[i].text});
    }
    OCTAVO_CHECK(sink_.write(table.str()));
    if (rows_.size() >= 2 && rows_.size() <= kMatrix) OCTAVO_CHECK(sink_.write(matrix()));
    return sink_.finish();
  }

 private:
  // Sixteen columns of seven characters fit a terminal.
  static constexpr size_t kMatrix = 16;
  struct Row {
    std::string text;
    double norm;
    std::vector<float> vector;  // whole while a matrix is possible, else its start
  };
  size_t kept(size_t width) const {
    return rows_.size() < kMatrix ? width : std::min<size_t>(4, width);
  }

  std::string matrix() const {
    std::vector<std::string> header{"cosine"};
    for (size_t i = 0; i < rows_.size(); ++i) header.push_back(std::to_string(i + 1));
    Table table(header);
    for (size_t i = 0; i < rows_.size(); ++i) {
      std::vector<std::string> cells{std::to_string(i + 1)};
      for (size_t j = 0; j < rows_.size(); ++j)
        cells.push_back(fixed(cosine(rows_[i].vector, rows_[j].vector), 3));
      table.add(cells);
    }
    return "\n" + table.str();
  }

  TextSink sink_;
  std::vector<Row> rows_;
  size_t width_ = 0;
};

class Npy final : public EmbedOutput {
 public:
  explicit Npy(NpyWriter writer) : writer_(std::move(writer)) {}
  Status write(std::span<const Record> /*records*/, const Embeddings& embeddings) override {
    return writer_.append(std::as_bytes(std::span(embeddings.values)));
  }
  Status finish() override { return writer_.commit(); }

 private:
  NpyWriter writer_;
};

class Npz final : public EmbedOutput {
 public:
  explicit Npz(NpzWriter writer) : writer_(std::move(writer)) {}
  Status write(std::span<const Record> /*records*/, const Embeddings& embeddings) override {
    return writer_.write(std::as_bytes(std::span(embeddings.values)));
  }
  Status finish() override { return writer_.commit(); }

 private:
  NpzWriter writer_;
};

class Safetensors final : public EmbedOutput {
 public:
  explicit Safetensors(SafetensorsWriter writer) : writer_(std::move(writer)) {}
  Status write(std::span<const Record> /*records*/, const Embeddings& embeddings) override {
    return writer_.write(std::as_bytes(std::span(embeddings.values)));
  }
  Status finish() override { return writer_.commit(); }

 private:
  SafetensorsWriter writer_;
};

}  // namespace

Result<std::unique_ptr<EmbedOutput>> open_embed_output(EmbedFormat format, const std::string& path,
                                                       size_t width) {
  using Output = std::unique_ptr<EmbedOutput>;
  const auto columns = static_cast<int64_t>(width);
  if (format == EmbedFormat::npy) {
    OCTAVO_TRY(auto writer, NpyWriter::create(path, DType::f32, {columns}));
    return Output(std::make_unique<Npy>(std::move(writer)));
  }
  if (format == EmbedFormat::npz) {
    OCTAVO_TRY(auto writer, NpzWriter::create(path));
    OCTAVO_CHECK(writer.begin("embeddings", DType::f32, {-1, columns}));
    return Output(std::make_unique<Npz>(std::move(writer)));
  }
  if (format == EmbedFormat::safetensors) {
    OCTAVO_TRY(auto writer,
               SafetensorsWriter::create(path, {{"embeddings", DType::f32, {-1, columns}}}));
    return Output(std::make_unique<Safetensors>(std::move(writer)));
  }
  OCTAVO_TRY(TextSink sink, TextSink::open(path));
  if (format == EmbedFormat::jsonl) return Output(std::make_unique<JsonLines>(std::move(sink)));
  return Output(std::make_unique<ForPeople>(std::move(sink)));
}

}  // namespace octavo::cli
