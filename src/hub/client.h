#pragma once
// Requests to a hub that end with an answer or with an error that says what to do: redirects are
// followed, and what may pass (429, 5xx, a broken connection) is tried again with growing waits, a
// few times.

#include <chrono>
#include <string>

#include "hub/http.h"
#include "hub/stop.h"

namespace octavo::hub {

// What becomes of a reply that is not what was wanted.
class Retries {
 public:
  Retries(const HubSettings& settings, Stop& stop) : settings_(settings), stop_(stop) {}
  // Waits, when trying again may help; false: give up. `progress`: this try brought bytes.
  bool again(const Reply& reply, bool progress = false);

 private:
  const HubSettings& settings_;
  Stop& stop_;
  int in_a_row_ = 0;
  int all_ = 0;
};

// "https://hub/api: HTTP 503 ...", with what to do; `repository` for messages about access.
Error failure(const Reply& reply, const std::string& url, const HubSettings& settings,
              const std::string& repository);

class Client {
 public:
  Client(const HubSettings& settings, std::string repository, Stop& stop)
      : settings_(settings),
        repository_(std::move(repository)),
        stop_(stop),
        http_(settings, &stop) {}

  struct Page {
    std::string body;
    std::string next;  // address of the next page, or ""
  };
  // A document of the hub's own; redirects within the endpoint's host only.
  Result<Page> document(const std::string& url);

  struct FileHead {
    std::string etag;      // without quotes; X-Linked-Etag before ETag
    std::string commit;    // X-Repo-Commit
    std::string size;      // X-Linked-Size
    std::string location;  // where its bytes are
  };
  Result<FileHead> head(const std::string& url);

  // One try at some bytes; redirects are followed, and `url` becomes where they led.
  Reply get(std::string& url, Request request, const Receiver& receive);
  Error failed(const Reply& reply, const std::string& url) const {
    return failure(reply, url, settings_, repository_);
  }
  Retries retries() { return {settings_, stop_}; }
  Stop& stop() { return stop_; }

 private:
  const HubSettings& settings_;
  std::string repository_;
  Stop& stop_;
  Http http_;
};

}  // namespace octavo::hub
