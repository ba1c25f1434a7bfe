// GET /info: the first model in text-embeddings-inference's words, and every model in ours.

#include <algorithm>

#include "octavo/version.h"
#include "server/dialects/tei.h"
#include "server/json_output.h"

namespace octavo::server::tei {

namespace {

// As text-embeddings-inference names them.
std::string_view pooling_of(const ModelDir& dir) {
  return dir.pooling == Pooling::last_token ? "last_token" : pooling_name(dir.pooling);
}

// How it runs, without where its files are.
std::string engine_of(const TextModel& model) {
  std::string text = model.explain();
  text.resize(std::min(text.size(), text.find("; packed weights")));
  return text;
}

// What its weights are stored as; the vectors are float32 in any case.
std::string_view dtype_of(const TextModel& model) {
  return model.dir().model_file.filename().string().find("int8") == std::string::npos ? "float32"
                                                                                      : "int8";
}

std::string number(size_t n) { return std::to_string(n); }
std::string_view word(bool is) { return is ? "true" : "false"; }

void append_model(std::string& out, const ServedModel& served) {
  const ModelDir& dir = served.model.dir();
  out += "{\"name\":" + json_quoted(served.name) +
         ",\"dimensions\":" + number(served.model.width()) +
         ",\"max_input_length\":" + number(dir.max_length) +
         ",\"pooling\":" + json_quoted(pooling_of(dir));
  out.append(",\"normalize\":").append(word(dir.normalize));
  out += ",\"dtype\":" + json_quoted(dtype_of(served.model)) + ",\"prompts\":[";
  for (const auto& [name, prompt] : dir.prompts) {
    if (out.back() != '[') out += ',';
    append_string(out, name);
  }
  out += "],\"default_prompt\":" +
         (dir.default_prompt_name.empty() ? "null" : json_quoted(dir.default_prompt_name)) +
         ",\"bytes\":" + std::to_string(served.bytes) +
         ",\"engine\":" + json_quoted(engine_of(served.model)) + "}";
}

}  // namespace

void info(const std::shared_ptr<Call>& call) {
  const Service& service = call->service();
  const ServedModel& first = service.models.front();
  Reply reply;
  std::string& out = reply.body;
  out =
      "{\"model_id\":" + json_quoted(first.name) +
      ",\"model_sha\":null,\"model_dtype\":" + json_quoted(dtype_of(first.model)) +
      ",\"model_type\":{\"embedding\":{\"pooling\":" + json_quoted(pooling_of(first.model.dir())) +
      "}}" + ",\"max_concurrent_requests\":" + number(service.limits.requests) +
      ",\"max_input_length\":" + number(first.model.dir().max_length) +
      ",\"max_batch_tokens\":" + number(first.model.max_batch_tokens()) +
      ",\"max_batch_requests\":null,\"max_client_batch_size\":" + number(service.limits.texts);
  out.append(",\"auto_truncate\":").append(word(service.truncate));
  out += ",\"tokenization_workers\":" + number(service.workers) + ",\"version\":\"" +
         std::string(kVersion) + "\",\"sha\":null,\"docker_label\":null,\"models\":[";
  for (const ServedModel& served : service.models) {
    if (served.lane != 0) out += ',';
    append_model(out, served);
  }
  out += "]}";
  call->answer(std::move(reply));
}

}  // namespace octavo::server::tei
