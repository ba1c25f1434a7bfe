#pragma once
// Which files of a repository are needed: the tokenizer and config files, and weights of one kind.

#include <string>
#include <vector>

#include "hub/repository.h"

namespace octavo::hub {

struct Selection {
  std::vector<std::string> about;    // tokenizer and config files
  std::vector<std::string> weights;  // without the shards that `index` names
  std::string index;                 // model.safetensors.index.json, or ""
  std::string gguf;  // the one GGUF file among the weights when it is what to import
};

// `files` sorted by path. Errors: unsupported or not_found, saying what there is instead.
Result<Selection> select_files(const std::vector<RepositoryFile>& files, const PullOptions& options,
                               const std::string& repository);

// The shards that an index names, each once, all of them among `files`. `name` is for messages.
Result<std::vector<std::string>> shards_of(const std::string& index, const std::string& name,
                                           const std::vector<RepositoryFile>& files);

}  // namespace octavo::hub
