#include "hub/client.h"

#include <algorithm>
#include <utility>

namespace octavo::hub {

namespace {

constexpr int kMostRedirects = 8;
constexpr int kTriesInARow = 5;
// A server that sends a little and then breaks off may do so only so often.
constexpr int kTries = 30;
constexpr std::chrono::milliseconds kLongestWait{30'000};
constexpr std::chrono::seconds kLongestComeBack{300};
constexpr size_t kMostDocument = size_t{64} << 20;
constexpr std::chrono::seconds kDocumentTime{300};

bool may_pass(const Reply& reply) {
  if (reply.transport == Transport::broken || reply.transport == Transport::unreachable)
    return true;
  return reply.transport == Transport::complete &&
         (reply.status == 408 || reply.status == 429 || reply.status / 100 == 5);
}

// W/"abc" and "abc" are abc.
std::string plain_etag(std::string text) {
  if (text.starts_with("W/")) text.erase(0, 2);
  std::erase(text, '"');
  return text;
}

// <https://hub/...?cursor=x>; rel="next"
std::string next_link(const std::string& header) {
  const size_t rel = header.find("rel=\"next\"");
  if (rel == std::string::npos) return "";
  const size_t open = header.rfind('<', rel);
  const size_t close = header.find('>', open == std::string::npos ? rel : open);
  if (open == std::string::npos || close == std::string::npos || close > rel) return "";
  return header.substr(open + 1, close - open - 1);
}

std::string account(const HubSettings& settings) {
  return settings.token.empty()
             ? "no token is set: put one in HF_TOKEN or in " + settings.token_from
             : "the token is that of " + settings.token_from;
}

}  // namespace

bool Retries::again(const Reply& reply, bool progress) {
  if (progress) in_a_row_ = 0;
  if (!may_pass(reply) || ++in_a_row_ >= kTriesInARow || ++all_ >= kTries) return false;
  std::chrono::milliseconds wait =
      std::min(settings_.first_wait * (1 << (in_a_row_ - 1)), kLongestWait);
  if (reply.come_back) {
    if (*reply.come_back > kLongestComeBack) return false;
    wait = std::max(wait, std::chrono::milliseconds(*reply.come_back));
  }
  return stop_.wait(wait);
}

Error failure(const Reply& reply, const std::string& url, const HubSettings& settings,
              const std::string& repository) {
  const std::string where = shown(url);
  const std::string page = shown(settings.endpoint + "/" + repository);
  if (reply.transport == Transport::stopped) return {Code::io, where + ": was stopped"};
  if (reply.transport == Transport::unreachable)
    return {Code::io, where + ": cannot be reached: " + reply.problem +
                          "; check the network, HTTPS_PROXY and HF_ENDPOINT"};
  if (reply.transport == Transport::broken)
    return {Code::io, where + ": the connection broke off, again and again: " + reply.problem +
                          "; the beginning that has arrived is kept, so try again later"};
  if (reply.transport == Transport::refused)
    return {Code::io, where + ": " + reply.problem +
                          "; certificates beside the system's are taken from SSL_CERT_FILE"};
  const std::string& code = reply.header("x-error-code");
  const std::string& said = reply.header("x-error-message");
  if (code == "GatedRepo")
    return {Code::io, repository + ": is gated; accept its terms at " + page +
                          " and pull with a token of that account (" + account(settings) + ")"};
  if (code == "RevisionNotFound")
    return {Code::not_found, repository + ": the hub has no such revision (" + where +
                                 "); give a branch, a tag or a commit behind the @"};
  if (code == "EntryNotFound")
    return {Code::not_found, where + ": the repository has no such file"};
  if (reply.status == 401 && said.find("redentials") != std::string::npos)
    return {Code::io, where + ": the token of " + settings.token_from +
                          " is not valid; make a new one, or unset it for public models"};
  if (reply.status == 401 || reply.status == 404 || code == "RepoNotFound")
    return {Code::not_found, repository + ": " + shown(settings.endpoint) +
                                 " has no such model, or it is private; check the name, or use a "
                                 "token that may read it (" +
                                 account(settings) + ")"};
  std::string what = where + ": HTTP " + std::to_string(reply.status);
  if (!said.empty() && said.size() < 300) what += " (" + said + ")";
  if (reply.status == 403) return {Code::io, what + ": access is refused; " + account(settings)};
  if (reply.status == 429)
    return {Code::io, what + ": too many requests" +
                          (reply.come_back
                               ? "; come back in " + std::to_string(reply.come_back->count()) + " s"
                               : "; try again later") +
                          ", or use a token (" + account(settings) + ")"};
  if (reply.status / 100 == 5)
    return {Code::io, what + ", again and again: the server is in trouble; try again later"};
  if (reply.status / 100 == 3)
    return {Code::io, what +
                          ": redirects that lead nowhere, or from https to http; check "
                          "HF_ENDPOINT"};
  return {Code::io, what + ": not an answer of a hub; check HF_ENDPOINT"};
}

Reply Client::get(std::string& url, Request request, const Receiver& receive) {
  std::string at = url;
  Reply reply;
  for (int hop = 0; hop < kMostRedirects; ++hop) {
    request.url = at;
    reply = http_.send(request, receive);
    if (reply.transport != Transport::complete || !reply.redirects()) {
      if (reply.status / 100 == 2) url = at;
      return reply;
    }
    const auto next = redirected(at, reply.header("location"));
    if (!next) return reply;
    at = *next;
  }
  return reply;
}

Result<Client::Page> Client::document(const std::string& url) {
  Retries tries = retries();
  for (;;) {
    std::string at = url;
    Page page;
    Reply reply;
    bool too_large = false;
    for (int hop = 0; hop < kMostRedirects; ++hop) {
      page.body.clear();
      reply = http_.send({.url = at, .deadline = kDocumentTime},
                         [&](const Reply& /*head*/, std::string_view bytes) {
                           too_large = bytes.size() > kMostDocument - page.body.size();
                           if (!too_large) page.body += bytes;
                           return !too_large;
                         });
      if (too_large)
        return Error{Code::invalid_input, shown(url) + ": answers with more than " +
                                              std::to_string(kMostDocument) + " bytes"};
      if (reply.transport != Transport::complete || !reply.redirects()) break;
      const auto next = redirected(at, reply.header("location"));
      // What the hub says is believed, what somebody else says in its name is not.
      if (!next || !same_origin(*next, settings_.endpoint)) break;
      at = *next;
    }
    if (reply.ok()) {
      page.next = next_link(reply.header("link"));
      return page;
    }
    if (!tries.again(reply)) return failed(reply, at);
  }
}

Result<Client::FileHead> Client::head(const std::string& url) {
  Retries tries = retries();
  for (;;) {
    FileHead head;
    head.location = url;
    Reply reply;
    for (int hop = 0; hop < kMostRedirects; ++hop) {
      const std::string at = head.location;
      reply = http_.send({.url = at, .head = true, .deadline = kDocumentTime});
      if (reply.transport != Transport::complete || (!reply.ok() && !reply.redirects())) break;
      // The last answer of the hub itself counts, as in the Python client.
      const auto take = [&](std::string& to, const char* name, const char* else_name) {
        const std::string& value = reply.header(name);
        const std::string& chosen = value.empty() ? reply.header(else_name) : value;
        if (!chosen.empty()) to = plain_etag(chosen);
      };
      take(head.etag, "x-linked-etag", "etag");
      take(head.commit, "x-repo-commit", "");
      take(head.size, "x-linked-size", "");
      if (!reply.redirects()) return head;
      const auto next = redirected(at, reply.header("location"));
      if (!next) break;
      head.location = *next;
      if (!same_origin(*next, settings_.endpoint)) return head;
    }
    if (!tries.again(reply)) return failed(reply, head.location);
  }
}

}  // namespace octavo::hub
