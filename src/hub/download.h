#pragma once
// Fills blobs: files are cut into pieces, several connections get pieces at once, and what is next
// in order is appended to blobs/<etag>.incomplete. That file is therefore always the beginning of
// the blob, whenever the program ends, and the next download goes on behind it, whoever wrote it.
// A blob appears under its name when its size and hash are right and it is on the disk.

#include <string>
#include <vector>

#include "base/digest.h"
#include "hub/cache.h"
#include "hub/client.h"

namespace octavo::hub {

struct Blob {
  std::string file;  // in the repository, for messages
  std::string url;   // on the hub
  std::string location;
  std::string etag;
  uint64_t size = 0;
  Hash hash;
};

struct DownloadCalls {
  std::function<Client()> client;         // one for each connection
  std::function<void(int64_t)> received;  // bytes; negative when some are got again
  std::function<Result<std::string>(Client&, const std::string& url)> locate;  // a new address
};

// The caller holds the blobs' locks. Errors: io (network, disk), invalid_input (size or hash).
Status download(const std::vector<Blob>& blobs, const Cache& cache, const DownloadCalls& calls,
                Stop& stop);

}  // namespace octavo::hub
