#pragma once
// One HTTP request through libcurl: TLS verified, proxies as libcurl finds them in the environment,
// no redirect followed, no retry made (hub/client.h does both). The token is added here and nowhere
// else, and only to requests for the endpoint's own scheme, host and port.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "octavo/hub.h"

namespace octavo::hub {

class Stop;

struct Request {
  std::string url;
  bool head = false;  // HEAD instead of GET
  // Bytes first..last of the resource, both counted from 0; empty: all of it.
  std::optional<std::pair<uint64_t, uint64_t>> range = {};
  // The whole request may take so long; 0: as long as bytes come.
  std::chrono::seconds deadline{0};
};

enum class Transport : uint8_t {
  complete,     // there is a status; the body has ended as it should
  stopped,      // the receiver, or a Stop, wanted no more
  broken,       // cut off, or silent for too long: trying again may help
  unreachable,  // no such host, no route, refused
  refused       // certificate, protocol, proxy: trying again does not help
};

struct Reply {
  Transport transport = Transport::complete;
  std::string problem;  // what libcurl says, unless complete
  long status = 0;
  std::map<std::string, std::string> headers;     // names in lower case
  std::optional<std::chrono::seconds> come_back;  // Retry-After

  // "" when it is not there.
  const std::string& header(const std::string& name) const;
  bool ok() const { return transport == Transport::complete && status / 100 == 2; }
  bool redirects() const { return status / 100 == 3 && headers.contains("location"); }
};

// Gets the body of a 2xx answer piece by piece, with the head that is known by then; false ends the
// request (Transport::stopped).
using Receiver = std::function<bool(const Reply& head, std::string_view bytes)>;

// Keeps its connections. Used by one thread at a time.
class Http {
 public:
  // A request under way ends within a second of `stop` being asked for.
  explicit Http(const HubSettings& settings, const Stop* stop = nullptr);
  Http(Http&&) noexcept;
  ~Http();
  Reply send(const Request& request, const Receiver& receive = {});

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Where a redirect leads; nullopt: no address, one that is neither http nor https, or http behind
// https.
std::optional<std::string> redirected(const std::string& from, const std::string& location);
bool same_origin(const std::string& a, const std::string& b);
// For messages: no password, and no query, which in a signed address is one.
std::string shown(const std::string& url);

}  // namespace octavo::hub
