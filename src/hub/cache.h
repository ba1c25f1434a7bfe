#pragma once
// The cache folder of the Python hub client, shared with it both ways:
//
//   models--org--name/blobs/<etag>                 contents, each under the name the hub gives it
//   models--org--name/snapshots/<commit>/<file>    links to them
//   models--org--name/refs/<revision>              the commit that a branch or tag was last
//   models--org--name/.no_exist/<commit>/<file>    empty: the repository has no such file
//   .locks/models--org--name/<etag>.lock           flock()ed while a blob is being made

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "hub/repository.h"

namespace octavo::hub {

class Cache {
 public:
  Cache(const HubSettings& settings, const HubName& name);

  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path blob(const std::string& etag) const { return folder_ / "blobs" / etag; }
  std::filesystem::path incomplete(const std::string& etag) const;
  std::filesystem::path snapshot(const std::string& commit) const;
  // Whether the snapshot has the file, with that many bytes.
  bool has(const std::string& commit, const RepositoryFile& file) const;
  // Whether the cache knows that the repository has no such file.
  bool known_absent(const std::string& commit, const std::string& file) const;
  // Sorted by path, without hashes; empty when there is no such snapshot.
  std::vector<RepositoryFile> files(const std::string& commit) const;
  // What the revision was last; nullopt when the cache does not know it.
  std::optional<std::string> commit_of(const std::string& revision) const;

  // The folders for blobs and locks. Errors: io.
  Status prepare() const;
  // snapshots/<commit>/<file> -> blobs/<etag>.
  Status link(const std::string& commit, const std::string& file, const std::string& etag) const;
  Status note_absent(const std::string& commit, const std::string& file) const;
  Status set_revision(const std::string& revision, const std::string& commit) const;
  // Bytes that can still be written there; the largest number when the system does not say.
  uint64_t free_bytes() const;

  // Locks of blobs, released at the end of their life.
  class Locks {
   public:
    Locks() = default;
    Locks(Locks&& other) noexcept = default;
    Locks& operator=(Locks&&) = delete;
    ~Locks();

   private:
    friend class Cache;
    std::vector<int> fds_;
  };
  // All of them, in an order that is the same for everybody, so that two never wait for each other.
  // `waiting` is called now and then while somebody else holds one; false gives up. Errors: io.
  Result<Locks> lock(std::vector<std::string> etags, const std::function<bool()>& waiting) const;

 private:
  std::filesystem::path folder_, locks_;
};

}  // namespace octavo::hub
