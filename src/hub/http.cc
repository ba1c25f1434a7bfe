#include "hub/http.h"

#include <algorithm>
#include <array>
#include <exception>
#include <mutex>
#include <utility>

#include "hub/curl.h"
#include "hub/stop.h"
#include "octavo/version.h"

namespace octavo::hub {

namespace {

constexpr size_t kMostHeaders = 256;
constexpr size_t kMostHeaderBytes = size_t{64} << 10;
constexpr size_t kMostUnread = size_t{64} << 10;

// It is there: pull_model() has looked.
const Curl& lib() { return **curl(); }

using Url = std::unique_ptr<CURLU, decltype(Curl::url_cleanup)>;

Url parsed(const std::string& text) {
  Url url(lib().url(), lib().url_cleanup);
  if (url && lib().url_set(url.get(), CURLUPART_URL, text.c_str(), 0) != CURLUE_OK) url.reset();
  return url;
}

std::string part(const Url& url, CURLUPart what, unsigned flags = 0) {
  char* text = nullptr;
  if (!url || lib().url_get(url.get(), what, &text, flags) != CURLUE_OK) return "";
  std::string out(text);
  lib().free(text);
  return out;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
  return text;
}

// What a request's callbacks see.
struct Transfer {
  Reply reply;
  const Receiver* receive = nullptr;
  size_t header_bytes = 0;
  size_t unread = 0;  // of a page that says what is wrong
  bool stopped = false;
  std::exception_ptr thrown;  // by a callback: memory ends. libcurl, in C, cannot pass it on
};

// Must return the count that it was given to go on; anything else ends the transfer.
template <class Callback>
size_t guarded(Transfer& transfer, Callback&& callback) {
  try {
    return std::forward<Callback>(callback)();
  } catch (...) {
    transfer.thrown = std::current_exception();
    return 0;
  }
}

size_t read_header(Transfer& transfer, const char* data, size_t count) {
  const std::string_view line(data, count);
  transfer.header_bytes += count;
  if (line.starts_with("HTTP/")) {  // the first one, or what follows a 1xx
    transfer.reply.headers.clear();
    const size_t space = line.find(' ');
    transfer.reply.status = 0;
    for (size_t i = space + 1; space != std::string_view::npos && i < std::min(count, space + 4);
         ++i)
      transfer.reply.status = transfer.reply.status * 10 + (line[i] - '0');
  } else if (const size_t colon = line.find(':'); colon != std::string_view::npos) {
    transfer.reply.headers[lower(std::string(trimmed(line.substr(0, colon))))] =
        trimmed(line.substr(colon + 1));
  }
  const bool bearable =
      transfer.reply.headers.size() <= kMostHeaders && transfer.header_bytes <= kMostHeaderBytes;
  return bearable ? count : 0;
}

size_t read_body(Transfer& transfer, const char* data, size_t count) {
  if (transfer.reply.status / 100 == 2) {
    if (*transfer.receive && (*transfer.receive)(transfer.reply, {data, count})) return count;
  } else if ((transfer.unread += count) <= kMostUnread) {
    return count;  // read to its end, so that the connection can be used again
  }
  transfer.stopped = true;
  return 0;
}

size_t on_header(char* data, size_t /*one*/, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  return guarded(transfer, [&] { return read_header(transfer, data, count); });
}

size_t on_body(char* data, size_t /*one*/, size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  return guarded(transfer, [&] { return read_body(transfer, data, count); });
}

// Asked once a second even while nothing comes; anything but 0 ends the transfer.
int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  return static_cast<const Stop*>(user)->requested() ? 1 : 0;
}

Transport transport_of(CURLcode code) {
  switch (code) {
    case CURLE_OK:
      return Transport::complete;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
      return Transport::unreachable;
    case CURLE_ABORTED_BY_CALLBACK:
      return Transport::stopped;
    case CURLE_PARTIAL_FILE:
    case CURLE_OPERATION_TIMEDOUT:
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_HTTP2:
    case CURLE_HTTP2_STREAM:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_HTTP_RETURNED_ERROR:
      return Transport::broken;
    default:
      return Transport::refused;
  }
}

void start_curl() {
  static std::once_flag once;
  std::call_once(once, [] { lib().global_init(CURL_GLOBAL_DEFAULT); });
}

}  // namespace

const std::string& Reply::header(const std::string& name) const {
  static const std::string none;
  const auto found = headers.find(name);
  return found == headers.end() ? none : found->second;
}

struct Http::State {
  HubSettings settings;
  const Stop* stop = nullptr;
  std::unique_ptr<CURL, decltype(Curl::easy_cleanup)> curl{nullptr, lib().easy_cleanup};
  std::array<char, CURL_ERROR_SIZE> error{};
};

Http::Http(const HubSettings& settings, const Stop* stop) : state_(std::make_unique<State>()) {
  start_curl();
  state_->settings = settings;
  state_->stop = stop;
  state_->curl.reset(lib().easy_init());
}

Http::Http(Http&&) noexcept = default;
Http::~Http() = default;

Reply Http::send(const Request& request, const Receiver& receive) {
  Transfer transfer;
  transfer.receive = &receive;
  CURL* curl = state_->curl.get();
  if (curl == nullptr) {
    transfer.reply.transport = Transport::refused;
    transfer.reply.problem = "libcurl cannot be started";
    return std::move(transfer.reply);
  }
  const HubSettings& settings = state_->settings;
  std::unique_ptr<curl_slist, decltype(Curl::slist_free_all)> lines(nullptr, lib().slist_free_all);
  const auto add = [&](const std::string& line) {
    if (curl_slist* more = lib().slist_append(lines.get(), line.c_str()); more != nullptr) {
      lines.release();
      lines.reset(more);
    }
  };
  add("Accept-Encoding: identity");  // sizes and ranges are those of the file
  if (!settings.token.empty() && same_origin(request.url, settings.endpoint))
    add("Authorization: Bearer " + settings.token);

  lib().easy_reset(curl);  // connections stay
  state_->error[0] = '\0';
  const auto set = [&](CURLoption option, auto value) { lib().easy_setopt(curl, option, value); };
  set(CURLOPT_ERRORBUFFER, state_->error.data());
  set(CURLOPT_NOSIGNAL, 1L);
  set(CURLOPT_URL, request.url.c_str());
  set(CURLOPT_PROTOCOLS_STR, "http,https");
  set(CURLOPT_FOLLOWLOCATION, 0L);
  set(CURLOPT_SSL_VERIFYPEER, 1L);
  set(CURLOPT_SSL_VERIFYHOST, 2L);
  if (!settings.ca_file.empty()) set(CURLOPT_CAINFO, settings.ca_file.c_str());
  set(CURLOPT_USERAGENT, (std::string("octavo/") + kVersion).c_str());
  set(CURLOPT_HTTPHEADER, lines.get());
  set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  set(CURLOPT_NOBODY, request.head ? 1L : 0L);
  if (request.range)
    set(CURLOPT_RANGE,
        (std::to_string(request.range->first) + "-" + std::to_string(request.range->second))
            .c_str());
  const auto stall = static_cast<long>(settings.stall_time.count());
  set(CURLOPT_CONNECTTIMEOUT, stall);
  set(CURLOPT_LOW_SPEED_LIMIT, 1L);
  set(CURLOPT_LOW_SPEED_TIME, stall);
  set(CURLOPT_TIMEOUT, static_cast<long>(request.deadline.count()));
  set(CURLOPT_HEADERFUNCTION, &on_header);
  set(CURLOPT_HEADERDATA, &transfer);
  set(CURLOPT_WRITEFUNCTION, &on_body);
  set(CURLOPT_WRITEDATA, &transfer);

  if (state_->stop != nullptr) {
    set(CURLOPT_NOPROGRESS, 0L);
    set(CURLOPT_XFERINFOFUNCTION, &on_progress);
    set(CURLOPT_XFERINFODATA, state_->stop);
  }

  const CURLcode code = lib().easy_perform(curl);
  if (transfer.thrown) std::rethrow_exception(transfer.thrown);
  Reply& reply = transfer.reply;
  reply.transport = transport_of(code);
  reply.problem = state_->error[0] != '\0' ? state_->error.data() : lib().easy_strerror(code);
  // A body that was not wanted ends the transfer, but there is an answer.
  if (transfer.stopped)
    reply.transport = reply.status / 100 == 2 ? Transport::stopped : Transport::complete;
  curl_off_t seconds = 0;
  if (lib().easy_getinfo(curl, CURLINFO_RETRY_AFTER, &seconds) == CURLE_OK &&
      !reply.header("retry-after").empty())
    reply.come_back = std::chrono::seconds(std::max<curl_off_t>(seconds, 0));
  return std::move(reply);
}

std::optional<std::string> redirected(const std::string& from, const std::string& location) {
  const Url url = parsed(from);
  const std::string scheme = part(url, CURLUPART_SCHEME);
  if (!url ||
      lib().url_set(url.get(), CURLUPART_URL, location.c_str(), CURLU_URLENCODE) != CURLUE_OK)
    return std::nullopt;
  const std::string after = part(url, CURLUPART_SCHEME);
  if (after != "https" && (after != "http" || scheme != "http")) return std::nullopt;
  return part(url, CURLUPART_URL);
}

bool same_origin(const std::string& a, const std::string& b) {
  const Url one = parsed(a);
  const Url other = parsed(b);
  if (!one || !other) return false;
  return part(one, CURLUPART_SCHEME) == part(other, CURLUPART_SCHEME) &&
         lower(part(one, CURLUPART_HOST)) == lower(part(other, CURLUPART_HOST)) &&
         part(one, CURLUPART_PORT, CURLU_DEFAULT_PORT) ==
             part(other, CURLUPART_PORT, CURLU_DEFAULT_PORT);
}

std::string shown(const std::string& url) {
  const Url given = parsed(url);
  if (!given) return "the address";
  for (const CURLUPart secret :
       {CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS, CURLUPART_QUERY, CURLUPART_FRAGMENT})
    lib().url_set(given.get(), secret, nullptr, 0);
  return part(given, CURLUPART_URL);
}

}  // namespace octavo::hub
