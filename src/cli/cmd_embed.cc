// octavo embed: texts in, vectors out, as a stream.

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <deque>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>

#include "base/atomic_file.h"
#include "base/utf8.h"
#include "cli/checks.h"
#include "cli/commands.h"
#include "cli/embed_output.h"
#include "cli/hub_source.h"
#include "cli/text_input.h"
#include "octavo/embedder.h"

namespace octavo::cli {

namespace {

constexpr const char* kDescription =
    R"(Turn texts into vectors with a model folder.

Pooling, normalisation, prompts and the maximum length come from the model's
files; what had to be guessed is said on stderr, and so is every text that was
cut. A text's vector does not depend on its neighbours.)";

constexpr const char* kFooter =
    R"(Output: on a terminal a table with the cosine of each pair, in a pipe JSON
Lines ({"index": 0, "text": ..., "embedding": [...]}), in a file what its
extension says. Texts stream through: memory does not grow with their number.

Examples:
  octavo embed minilm-int8 "how do I reset my password?" "I forgot my login"
  octavo embed minilm-int8 --input texts.txt --output vectors.npy
  octavo embed qwen3 --prompt-name query --dimensions 256 "who wrote Faust?"

Exit codes: 0 done; 2 wrong usage; 3 the work failed (the reason is on stderr).)";

// Texts that are read at once: enough to tokenize on several threads, few enough that the first
// batch starts at once.
constexpr size_t kChunkTexts = 256;
constexpr size_t kChunkBytes = size_t{1} << 20;
// How long reading waits for a writer that pauses before it looks whether it is still wanted.
constexpr int kPauseMilliseconds = 100;
constexpr size_t kReported = 5;

struct Options {
  std::string folder;
  std::vector<std::string> texts;
  std::string input;
  std::string output;
  std::string format;
  bool json = false;
  bool no_normalize = false;
  bool no_cache = false;
  bool explain = false;
  EmbedderOptions open;
  EmbedOptions embed;
};

// Counts the texts that were cut, and those that are not UTF-8, and remembers the first few.
class Oddities {
 public:
  void add(std::span<const Record> records, const Embeddings& embeddings, bool lines) {
    texts_ += records.size();
    count_ += embeddings.truncated.size();
    for (const auto& cut : embeddings.truncated) {
      if (first_.size() == kReported) break;
      first_.push_back((lines ? "line " : "text ") + std::to_string(records[cut.text].line) + " (" +
                       std::to_string(cut.full_length) + " tokens, " + std::to_string(cut.kept) +
                       " used)");
    }
    for (const Record& record : records) {
      if (is_utf8(record.text)) continue;
      if (garbled_++ == 0)
        first_garbled_ = (lines ? "line " : "text ") + std::to_string(record.line);
    }
  }
  void report() const {
    if (garbled_ > 0)
      std::fprintf(stderr,
                   "octavo: warning: %zu of %zu texts are not UTF-8, the first of them %s; their "
                   "bytes that are none were read as U+FFFD (iconv converts files)\n",
                   garbled_, texts_, first_garbled_.c_str());
    if (count_ == 0) return;
    std::string list;
    for (const auto& text : first_) list += (list.empty() ? "" : ", ") + text;
    std::fprintf(stderr,
                 "octavo: warning: %zu of %zu texts were longer than the maximum length and were "
                 "cut: %s%s\n",
                 count_, texts_, list.c_str(), count_ > first_.size() ? ", ..." : "");
  }

 private:
  size_t texts_ = 0;
  size_t count_ = 0;
  std::vector<std::string> first_;
  size_t garbled_ = 0;
  std::string first_garbled_;
};

const std::map<std::string, EmbedFormat> kFormats = {{"table", EmbedFormat::table},
                                                     {"jsonl", EmbedFormat::jsonl},
                                                     {"npy", EmbedFormat::npy},
                                                     {"npz", EmbedFormat::npz},
                                                     {"safetensors", EmbedFormat::safetensors}};

// What an extension stands for. Not .json: a file of JSON Lines is no JSON.
const std::map<std::string, EmbedFormat> kExtensions = {
    {".txt", EmbedFormat::table},    {".jsonl", EmbedFormat::jsonl},
    {".ndjson", EmbedFormat::jsonl}, {".npy", EmbedFormat::npy},
    {".npz", EmbedFormat::npz},      {".safetensors", EmbedFormat::safetensors}};

// Throws what makes a wrong usage.
EmbedFormat choose_format(const Options& options) {
  const std::string extension = std::filesystem::path(options.output).extension().string();
  const bool to_stdout = options.output.empty() || options.output == "-";
  const std::string name = options.json ? "jsonl" : options.format;
  const auto format = kFormats.find(name);
  const auto said = kExtensions.find(extension);
  if (to_stdout) {
    if (name.empty()) return ::isatty(STDOUT_FILENO) != 0 ? EmbedFormat::table : EmbedFormat::jsonl;
    if (name != "table" && name != "jsonl")
      throw CLI::ValidationError("the format " + name + " needs --output FILE");
    return format->second;
  }
  if (name.empty() && said == kExtensions.end())
    throw CLI::ValidationError(options.output +
                               ": the extension tells no format; use .jsonl, .npy, .npz or "
                               ".safetensors, or --format");
  if (name.empty()) return said->second;
  if (said != kExtensions.end() && said->second != format->second)
    throw CLI::ValidationError(options.output + ": the extension says something else than the " +
                               "format " + name + "; leave one of them out");
  return format->second;
}

// What was read and has no vector yet. Read on one thread, taken on another.
class Pending {
 public:
  Result<std::optional<std::vector<std::string>>> read(TextInput& input) {
    using Texts = std::vector<std::string>;
    if (!input.ready(kPauseMilliseconds)) return std::optional(Texts{});
    OCTAVO_TRY(std::vector<Record> records, input.read(kChunkTexts, kChunkBytes));
    bytes_read_ = input.bytes_read();
    if (records.empty()) return std::optional<Texts>();
    return std::optional(add(std::move(records)));
  }
  std::vector<std::string> add(std::vector<Record> records) {
    std::vector<std::string> texts;
    for (const Record& record : records) texts.push_back(record.text);
    const std::lock_guard lock(mutex_);
    std::move(records.begin(), records.end(), std::back_inserter(records_));
    return texts;
  }
  std::vector<Record> take(size_t count) {
    const std::lock_guard lock(mutex_);
    const auto end = records_.begin() + static_cast<ptrdiff_t>(count);
    std::vector<Record> out(std::make_move_iterator(records_.begin()),
                            std::make_move_iterator(end));
    records_.erase(records_.begin(), end);
    return out;
  }
  uint64_t bytes_read() const { return bytes_read_; }

 private:
  std::mutex mutex_;
  std::deque<Record> records_;
  std::atomic<uint64_t> bytes_read_{0};
};

Status run(const Options& options, const Context& context) {
  const EmbedFormat format = choose_format(options);
  // Before the first text is waited for: a place that cannot be written costs nobody an hour.
  if (!options.output.empty() && options.output != "-") {
    if (const auto place = output_place(options.output); !place) return Error(place.error());
  }
  const bool from_arguments = !options.texts.empty();
  std::optional<TextInput> input;
  if (!from_arguments) {
    OCTAVO_TRY(input, TextInput::open(options.input.empty() ? "-" : options.input));
  }
  std::string folder = options.folder;
  OCTAVO_CHECK(resolve_model(folder, HubWeights::onnx, options.open.model_file));
  // The first time a large model's weights are packed: seconds in which nothing else is seen.
  const Progress progress = context.progress();
  if (progress) progress("load the model", 0, 1);
  OCTAVO_TRY(const Embedder embedder, Embedder::open(folder, options.open));
  if (progress) progress("load the model", 1, 1);
  for (const std::string& warning : embedder.warnings())
    std::fprintf(stderr, "octavo: warning: %s\n", warning.c_str());

  if (options.explain) std::fprintf(stderr, "octavo: %s\n", embedder.explain().c_str());

  const size_t width = options.embed.dimensions == 0 ? embedder.width() : options.embed.dimensions;
  std::unique_ptr<EmbedOutput> output;
  Oddities oddities;
  Pending pending;
  // Opened late: an option that the model refuses leaves no trace.
  const auto write = [&](const Embeddings& embeddings) -> Status {
    if (!output) {
      OCTAVO_TRY(output, open_embed_output(format, options.output, width));
    }
    const std::vector<Record> records = pending.take(embeddings.count());
    OCTAVO_CHECK(output->write(records, embeddings));
    oddities.add(records, embeddings, !from_arguments);
    if (progress && input && input->bytes_total() != 0)
      progress("embed", pending.bytes_read(), input->bytes_total());
    return Done{};
  };
  if (from_arguments) {
    std::vector<Record> records;
    for (size_t i = 0; i < options.texts.size(); ++i)
      records.push_back({options.texts[i], "", i + 1});
    OCTAVO_TRY(const Embeddings all,
               embedder.embed(pending.add(std::move(records)), options.embed));
    OCTAVO_CHECK(write(all));
  } else {
    OCTAVO_CHECK(embedder.embed_stream([&] { return pending.read(*input); }, write, options.embed));
    Embeddings none;  // an empty stream makes an empty file
    none.width = width;
    if (!output) OCTAVO_CHECK(write(none));
  }
  OCTAVO_CHECK(output->finish());
  oddities.report();
  return Done{};
}

}  // namespace

void add_embed(CLI::App& app, Context& context) {
  auto options = std::make_shared<Options>();
  CLI::App* command = app.add_subcommand("embed", kDescription);
  command->footer(kFooter);
  command
      ->add_option("DIR", options->folder,
                   "folder with an ONNX model and its tokenizer, or org/name[@revision] on the hub")
      ->required()
      ->type_name("DIR");
  command
      ->add_option("TEXT", options->texts,
                   "texts (default: those of --input, or of standard input)")
      ->type_name("TEXT");
  command
      ->add_option(
          "--input", options->input,
          "one text a line, or JSON Lines {\"text\": ..., \"id\": ...}; - is standard input")
      ->type_name("FILE");
  command
      ->add_option("-o,--output", options->output,
                   "write this regular file (no pipe), whole or not at all: .jsonl, .npy, .npz or "
                   ".safetensors")
      ->type_name("FILE");
  command
      ->add_option("--format", options->format,
                   "table, jsonl, npy, npz or safetensors (default: see below)")
      ->type_name("NAME")
      ->check(one_of(kFormats));
  command->add_flag("--json", options->json, "the same as --format jsonl")->excludes("--format");
  command
      ->add_option("--prompt-name", options->embed.prompt_name,
                   "prompt of config_sentence_transformers.json to put before each text")
      ->type_name("NAME");
  command->add_option("--max-length", options->embed.max_length, "cut texts to so many tokens")
      ->check(whole(1, kMostTokens))
      ->type_name("N");
  command
      ->add_option("--dimensions", options->embed.dimensions,
                   "keep the first N numbers (Matryoshka) and normalise again")
      ->check(whole(1, kMostTokens))
      ->type_name("N");
  command->add_flag("--no-normalize", options->no_normalize,
                    "leave the vectors' lengths as they are");
  command
      ->add_option("--model-file", options->open.model_file,
                   "ONNX file in DIR, or a path; else model.int8.onnx, model.onnx, onnx/model.onnx")
      ->type_name("FILE");
  add_threads(*command, options->open.threads);
  command->add_flag(
      "--exact-onnx", options->open.exact_onnx,
      "run the graph node by node as ONNX Runtime does, with the file's own activation "
      "scales (one for a whole tensor as a rule): slower, less accurate");
  command
      ->add_option("--max-batch-tokens", options->open.max_batch_tokens,
                   "tokens that run together (default 4096): bounds memory, changes no result")
      ->check(whole(1, kMostTokens))
      ->type_name("N");
  command->add_flag("--no-cache", options->no_cache, "keep no packed weights in the cache folder");
  command->add_flag("--explain", options->explain, "say on stderr how the model runs, and why");
  command->callback([options, command, &context] {
    if (!options->texts.empty() && !options->input.empty())
      throw CLI::ValidationError("give texts or --input, not both");
    if (options->texts.empty() && options->input.empty() && ::isatty(STDIN_FILENO) != 0)
      throw CLI::ValidationError("no texts: give some, or --input FILE");
    options->open.cache = !options->no_cache;
    if (options->no_normalize) options->embed.normalize = false;
    if (const Status status = run(*options, context); !status) context.fail(status.error());
  });
}

}  // namespace octavo::cli
