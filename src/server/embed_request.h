#pragma once
// What every dialect's request for vectors comes to, and what comes back. embed() is the only way
// from one to the other.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "server/call.h"
#include "server/service.h"
#include "text/tokenizer.h"  // CutSide

namespace octavo::server {

// A text, or token ids that are taken as they are: no prompt, no special tokens.
using Input = std::variant<std::string, std::vector<int64_t>>;

// What a text is, for models with prompts for both sides of a search.
enum class InputType : uint8_t { query, document };

struct EmbedRequest {
  std::string model = {};  // "": the first one
  std::vector<Input> inputs = {};
  std::string inputs_name = "input";  // of the field, for errors
  std::string prompt_name = {};       // "": the model's default
  std::optional<InputType> input_type = {};
  size_t dimensions = 0;  // 0: all
  std::optional<bool> normalize = {};
  std::optional<bool> truncate = {};  // nullopt: as the server is set
  CutSide cut = CutSide::end;         // of a text that is truncated
  bool token_rows = false;            // every token's hidden state
};

struct EmbedAnswer {
  struct Cut {
    size_t index;
    size_t tokens;  // it had
    size_t used;
  };
  const ServedModel* model = nullptr;
  std::string name;                         // of the model
  std::vector<std::vector<float>> vectors;  // of each input; token_rows: [tokens][width], flat
  std::vector<Cut> truncated;
  uint64_t tokens = 0;  // used
  size_t width = 0;     // of a vector
};

// Input types as other services spell them: "query", "search_query", "document", "passage", ...
std::optional<InputType> input_type_of(const std::string& name);
// The name of the model's prompt for that side: "" where it has none.
std::string prompt_name_of(const ModelDir& dir, InputType type);

// The work of a request: prompts, tokens, limits. Cuts are noted in the answer.
Outcome<std::shared_ptr<Work>> prepare(const EmbedRequest& request, const Service& service,
                                       EmbedAnswer& answer);

// ,"truncated":[{"index":0,"tokens":900,"used":512}] behind the members of an object.
void append_truncated(std::string& out, const EmbedAnswer& answer);

// Answers the call with what `format` makes of the vectors, or with what `fail` makes of an error.
using FormatAnswer = std::function<Reply(const EmbedAnswer&)>;
using FormatFailure = Reply (*)(const Failure&);
void embed(const std::shared_ptr<Call>& call, EmbedRequest request, FormatAnswer format,
           FormatFailure fail);

}  // namespace octavo::server
