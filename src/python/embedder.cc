// octavo::Embedder for src/python/octavo/_embedder.py.

#include "octavo/embedder.h"

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <exception>
#include <iterator>
#include <utility>

#include "python/errors.h"
#include "python/model_path.h"
#include "python/module.h"
#include "python/progress.h"

namespace octavo::python {

namespace {

// So much is computed in one go and its memory becomes the array; it takes milliseconds. What is
// more goes through embed_stream(), between whose batches Ctrl-C is looked for.
constexpr size_t kAtOnceTexts = 64;
constexpr size_t kAtOnceBytes = size_t{16} << 10;
// Texts that are tokenized together, as the program does.
constexpr size_t kChunkTexts = 256;

std::string kind_of(nb::handle object) {
  return nb::cast<std::string>(object.type().attr("__name__"));
}

// `place`: what to call it in messages.
std::string string_of(nb::handle text, const std::string& place) {
  if (PyUnicode_Check(text.ptr()) == 0)
    throw nb::type_error((place + " is no str but a " + kind_of(text)).c_str());
  Py_ssize_t size = 0;
  const char* bytes = PyUnicode_AsUTF8AndSize(text.ptr(), &size);
  if (bytes == nullptr) {
    if (PyErr_ExceptionMatches(PyExc_UnicodeEncodeError) == 0) throw nb::python_error();
    PyErr_Clear();
    throw Failure{{Code::invalid_input,
                   place + " has half of a surrogate pair, which is no character; for the bytes "
                           "of a file use errors=\"replace\" when decoding"}};
  }
  return {bytes, static_cast<size_t>(size)};
}

std::vector<std::string> strings_of(const nb::list& texts) {
  std::vector<std::string> out;
  out.reserve(texts.size());
  for (const nb::handle text : texts)
    out.push_back(string_of(text, "text " + std::to_string(out.size() + 1)));
  return out;
}

// The vector's own memory, freed with the array.
nb::object array_of(std::vector<float> values, size_t rows, size_t width) {
  values.reserve(1);  // an array of no rows has an address, too
  auto kept = std::make_unique<std::vector<float>>(std::move(values));
  float* data = kept->data();
  const nb::capsule owner(kept.get(),
                          [](void* p) noexcept { delete static_cast<std::vector<float>*>(p); });
  kept.release();
  const size_t shape[] = {rows, width};
  return nb::cast(nb::ndarray<nb::numpy, float, nb::ndim<2>>(data, 2, shape, owner));
}

// All rows through embed_stream(). `report` is called after each batch, with the GIL, and may
// throw.
template <class Report>
Result<Embeddings> embed_in_batches(const Embedder& embedder, std::vector<std::string>& texts,
                                    const EmbedOptions& options, const Report& report) {
  Embeddings all;
  all.width =
      options.dimensions == 0 ? embedder.width() : std::min(options.dimensions, embedder.width());
  all.values.reserve(texts.size() * all.width);
  size_t taken = 0;
  const auto read = [&]() -> Result<std::optional<std::vector<std::string>>> {
    if (taken == texts.size()) return std::optional<std::vector<std::string>>();
    const size_t end = std::min(texts.size(), taken + kChunkTexts);
    const auto at = [&](size_t i) {
      return std::make_move_iterator(texts.begin() + static_cast<ptrdiff_t>(i));
    };
    std::vector<std::string> chunk(at(taken), at(end));
    taken = end;
    return std::optional(std::move(chunk));
  };
  std::exception_ptr thrown;
  const auto write = [&](const Embeddings& part) -> Status {
    const size_t done = all.count();
    for (const auto& cut : part.truncated)
      all.truncated.push_back({done + cut.text, cut.full_length, cut.kept});
    all.values.insert(all.values.end(), part.values.begin(), part.values.end());
    all.tokens += part.tokens;
    const nb::gil_scoped_acquire gil;
    try {
      check_signals();
      report(all.count());
    } catch (...) {  // the stream ends orderly first: it has a thread of its own
      thrown = std::current_exception();
      return Error{Code::internal, "stopped"};
    }
    return Done{};
  };
  const Status status = embedder.embed_stream(read, write, options);
  if (thrown) std::rethrow_exception(thrown);
  if (!status) return Error(status.error());
  return all;
}

nb::tuple embed(const Embedder& embedder, const nb::list& list, const nb::object& prompt,
                const std::string& prompt_name, size_t max_length, size_t dimensions,
                std::optional<bool> normalize, size_t batch_tokens, const nb::object& progress) {
  std::vector<std::string> texts = strings_of(list);
  std::optional<std::string> literal;
  if (!prompt.is_none()) literal = string_of(prompt, "prompt");
  const EmbedOptions options{.prompt_name = prompt_name,
                             .prompt = std::move(literal),
                             .max_length = max_length,
                             .dimensions = dimensions,
                             .normalize = normalize,
                             .max_batch_tokens = batch_tokens};
  const size_t count = texts.size();
  size_t bytes = 0;
  for (const std::string& text : texts) bytes += text.size();
  const auto report = [&](size_t done) {
    if (!progress.is_none()) progress(done);
  };
  const bool at_once = count <= kAtOnceTexts && bytes <= kAtOnceBytes;
  Result<Embeddings> result = [&] {
    const nb::gil_scoped_release released;
    return at_once ? embedder.embed(texts, options)
                   : embed_in_batches(embedder, texts, options, report);
  }();
  Embeddings embeddings = value_of(std::move(result));
  if (at_once) report(count);
  nb::list cuts;
  for (const auto& cut : embeddings.truncated)
    cuts.append(nb::make_tuple(cut.text, cut.full_length, cut.kept));
  return nb::make_tuple(array_of(std::move(embeddings.values), count, embeddings.width),
                        std::move(cuts), embeddings.tokens);
}

nb::tuple open_embedder(const std::filesystem::path& model, const std::string& model_file,
                        int threads, bool exact_onnx, size_t batch_tokens, bool cache,
                        const nb::object& progress) {
  const EmbedderOptions options{.model_file = model_file,
                                .threads = threads,
                                .exact_onnx = exact_onnx,
                                .max_batch_tokens = batch_tokens,
                                .cache = cache};
  const ModelSource source = model_path(model, HubWeights::onnx, progress, model_file);
  Result<Embedder> opened = [&] {
    const nb::gil_scoped_release released;
    return Embedder::open(source.path, options);
  }();
  Embedder embedder = value_of(std::move(opened));
  std::vector<std::string> notes = source.notes;
  notes.insert(notes.end(), embedder.warnings().begin(), embedder.warnings().end());
  nb::list said;
  for (const std::string& note : notes) said.append(text_of(note));
  return nb::make_tuple(nb::cast(std::move(embedder)), std::move(said));
}

}  // namespace

void add_embedder(nb::module_& module) {
  nb::class_<Embedder>(module, "Embedder")
      .def("embed", &embed, nb::arg("texts"), nb::arg("prompt").none(), nb::arg("prompt_name"),
           nb::arg("max_length"), nb::arg("dimensions"), nb::arg("normalize").none(),
           nb::arg("batch_tokens"), nb::arg("progress").none())
      .def_prop_ro("width", &Embedder::width)
      .def_prop_ro("max_length", &Embedder::max_length)
      .def_prop_ro("prompts", &Embedder::prompts)
      .def_prop_ro("default_prompt_name", &Embedder::default_prompt_name)
      .def_prop_ro("similarity", &Embedder::similarity)
      .def_prop_ro("folder", &Embedder::folder)
      .def("explain", [](const Embedder& embedder) { return text_of(embedder.explain()); });
  module.def("open_embedder", &open_embedder, nb::arg("model"), nb::arg("model_file"),
             nb::arg("threads"), nb::arg("exact_onnx"), nb::arg("batch_tokens"), nb::arg("cache"),
             nb::arg("progress").none());
}

}  // namespace octavo::python
