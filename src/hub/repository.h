#pragma once
// What a hub says about a repository: which commit a revision is, and which files that has. Nothing
// in the answers is believed before it has been checked.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/digest.h"
#include "hub/client.h"

namespace octavo::hub {

struct RepositoryFile {
  std::string path;
  uint64_t size = 0;
  std::optional<Hash> hash;  // of the content; SHA-256 for what is in Git LFS
};

class Repository {
 public:
  Repository(Client& client, const HubSettings& settings, const HubName& name)
      : client_(client), settings_(settings), name_(name) {}
  Result<std::string> commit();
  Result<std::vector<RepositoryFile>> files(const std::string& commit);
  std::string file_url(const std::string& commit, const std::string& path) const;

 private:
  std::string api() const { return settings_.endpoint + "/api/models/" + name_.repository; }
  Client& client_;
  const HubSettings& settings_;
  const HubName& name_;
};

// One page of /tree; appends. `where` is for messages.
Status read_tree(const std::string& body, const std::string& where,
                 std::vector<RepositoryFile>& files);

}  // namespace octavo::hub
