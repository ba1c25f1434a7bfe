#include "hub/download.h"

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <map>
#include <mutex>
#include <new>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "hub/partial_file.h"

namespace octavo::hub {

namespace {

constexpr uint64_t kPieceBytes = uint64_t{8} << 20;
constexpr size_t kConnections = 4;
// Pieces that are under way or wait for an earlier one: what bounds the memory.
constexpr size_t kWindow = 8;
constexpr int kMostAddresses = 4;

struct Target {
  const Blob* blob;
  PartialFile file;
  std::string location;
  size_t open_pieces = 0;
  bool resumed = false;
  bool no_ranges = false;  // the server sends all of it, whatever is asked for
};

struct Piece {
  Target* target;
  uint64_t from, size;
};

enum class Fetched : uint8_t { bytes, no_ranges };

// "bytes 5-9/10": 5, and 10 unless it is *.
bool fits(const std::string& content_range, uint64_t from, uint64_t total) {
  const std::string expected = "bytes " + std::to_string(from) + "-";
  if (!content_range.starts_with(expected)) return false;
  const size_t slash = content_range.find('/');
  return slash != std::string::npos && (content_range.substr(slash + 1) == "*" ||
                                        content_range.substr(slash + 1) == std::to_string(total));
}

uint64_t number(const std::string& text) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

Error stopped() { return {Code::internal, "the download was stopped"}; }

Error too_long(const Blob& blob) {
  return {Code::invalid_input, blob.file + ": " + shown(blob.url) + " sends more than the " +
                                   std::to_string(blob.size) +
                                   " bytes that the hub tells; it was left"};
}

class Download {
 public:
  Download(const Cache& cache, const DownloadCalls& calls, Stop& stop)
      : cache_(cache), calls_(calls), stop_(stop) {}

  // Afterwards `again` holds what went on behind bytes that turned out to be wrong.
  Status run(const std::vector<const Blob*>& blobs, std::vector<const Blob*>& again) {
    OCTAVO_CHECK(cut(blobs));
    std::vector<std::jthread> threads;
    try {
      for (size_t i = 1; i < std::min(kConnections, pieces_.size()); ++i)
        threads.emplace_back([this] { work(); });
    } catch (const std::system_error&) {  // fewer connections, then
    }
    work();
    threads.clear();  // joined
    if (error_) {
      salvage();
      return *std::move(error_);
    }
    again = std::move(again_);
    return Done{};
  }

 private:
  Status cut(const std::vector<const Blob*>& blobs) {
    targets_.reserve(blobs.size());  // pieces point to them
    for (const Blob* blob : blobs) {
      OCTAVO_TRY(auto file,
                 PartialFile::open(cache_.incomplete(blob->etag), blob->file, blob->size));
      targets_.push_back({blob, std::move(file), blob->location});
      Target& target = targets_.back();
      target.resumed = target.file.size() > 0;
      calls_.received(static_cast<int64_t>(target.file.size()));
      for (uint64_t from = target.file.size(); from < blob->size; from += kPieceBytes) {
        pieces_.push_back({&target, from, std::min(kPieceBytes, blob->size - from)});
        ++target.open_pieces;
      }
      if (target.open_pieces == 0) OCTAVO_CHECK(settle(target));
    }
    return Done{};
  }

  void work() {
    try {
      Client client = calls_.client();
      while (const auto k = take()) {
        if (Status status = fetch(client, *k); !status) fail(std::move(status).error());
      }
    } catch (const std::bad_alloc&) {
      fail({Code::out_of_memory, "the download needs more memory than there is"});
    }
  }

  // The first error counts; the others follow from it.
  void fail(Error error) {
    {
      const std::lock_guard lock(mutex_);
      if (!error_) error_ = std::move(error);
    }
    stop_.request();
    moved_.notify_all();
  }

  std::optional<size_t> take() {
    std::unique_lock lock(mutex_);
    moved_.wait(lock,
                [&] { return error_ || next_ == pieces_.size() || next_ < front_ + kWindow; });
    if (error_ || next_ == pieces_.size()) return std::nullopt;
    return next_++;
  }

  Status fetch(Client& client, size_t k) {
    Target& target = *pieces_[k].target;
    std::string bytes;
    bool ranges = false;
    {
      const std::lock_guard lock(mutex_);
      ranges = !target.no_ranges;
    }
    if (ranges) {
      Result<Fetched> fetched = fetch_range(client, pieces_[k], bytes);
      if (!fetched) {
        const std::lock_guard lock(mutex_);
        partial_[k] = std::move(bytes);
        return std::move(fetched).error();
      }
      if (*fetched == Fetched::bytes) return deliver(k, std::move(bytes));
      const std::lock_guard lock(mutex_);
      target.no_ranges = true;
    }
    {
      std::unique_lock lock(mutex_);
      moved_.wait(lock, [&] { return error_ || front_ == k; });
      if (error_) return stopped();
    }
    // An earlier piece brought the rest along.
    if (target.file.size() < pieces_[k].from + pieces_[k].size)
      OCTAVO_CHECK(fetch_rest(client, target));
    return deliver(k, "");
  }

  std::string location(Target& target) {
    const std::lock_guard lock(mutex_);
    return target.location;
  }
  void remember(Target& target, const std::string& location) {
    const std::lock_guard lock(mutex_);
    target.location = location;
  }

  // A signed address of a store is good for a while only.
  Result<bool> found_again(Client& client, const Reply& reply, Target& target, std::string& url,
                           int& addresses) {
    const bool gone =
        reply.transport == Transport::complete &&
        (reply.status == 401 || reply.status == 403 || reply.status == 404 || reply.status == 410);
    if (!gone || same_origin(url, target.blob->url) || ++addresses == kMostAddresses) return false;
    OCTAVO_TRY(url, calls_.locate(client, target.blob->url));
    remember(target, url);
    return true;
  }

  Result<Fetched> fetch_range(Client& client, const Piece& piece, std::string& bytes) {
    Target& target = *piece.target;
    const Blob& blob = *target.blob;
    Retries tries = client.retries();
    std::string url = location(target);
    int addresses = 0;
    for (;;) {
      const size_t before = bytes.size();
      Request request;
      // A small file is asked for as a whole.
      if (piece.size != blob.size || !bytes.empty())
        request.range = {piece.from + before, piece.from + piece.size - 1};
      std::optional<Error> wrong;
      bool ignored = false;
      bool checked = false;
      Reply reply = client.get(url, request, [&](const Reply& head, std::string_view data) {
        if (!std::exchange(checked, true) && request.range) {
          ignored = head.status != 206;
          if (ignored) return false;
          if (!fits(head.header("content-range"), request.range->first, blob.size)) {
            wrong = Error{Code::invalid_input, blob.file + ": " + shown(url) + " answers with \"" +
                                                   head.header("content-range").substr(0, 100) +
                                                   "\" where bytes from " +
                                                   std::to_string(request.range->first) + " of " +
                                                   std::to_string(blob.size) + " were asked for"};
            return false;
          }
        }
        if (data.size() > piece.size - bytes.size()) {
          wrong = too_long(blob);
          return false;
        }
        bytes += data;
        calls_.received(static_cast<int64_t>(data.size()));
        return !stop_.requested();
      });
      if (wrong) return *std::move(wrong);
      if (ignored) {
        calls_.received(-static_cast<int64_t>(bytes.size()));
        bytes.clear();
        return Fetched::no_ranges;
      }
      if (stop_.requested()) return stopped();
      if (reply.ok() && bytes.size() == piece.size) {
        remember(target, url);
        return Fetched::bytes;
      }
      OCTAVO_TRY(const bool found, found_again(client, reply, target, url, addresses));
      if (found) continue;
      if (reply.status == 416) return no_such_bytes(blob, piece.from + bytes.size());
      end_early(reply, blob, piece.from + bytes.size());
      if (!tries.again(reply, bytes.size() > before)) return client.failed(reply, url);
    }
  }

  // From the first byte on, skipping those that are there; this is the piece whose turn it is.
  Status fetch_rest(Client& client, Target& target) {
    const Blob& blob = *target.blob;
    Retries tries = client.retries();
    std::string url = location(target);
    int addresses = 0;
    for (;;) {
      const uint64_t before = target.file.size();
      uint64_t seen = 0;
      std::optional<Error> wrong;
      Reply reply = client.get(url, {}, [&](const Reply& head, std::string_view data) {
        if (data.size() > blob.size - seen || number(head.header("content-length")) > blob.size) {
          wrong = too_long(blob);
          return false;
        }
        const uint64_t known = std::min<uint64_t>(data.size(), before - std::min(before, seen));
        seen += data.size();
        data.remove_prefix(known);
        if (Status status = target.file.append(data); !status) {
          wrong = std::move(status).error();
          return false;
        }
        calls_.received(static_cast<int64_t>(data.size()));
        return !stop_.requested();
      });
      if (wrong) return *std::move(wrong);
      if (stop_.requested()) return stopped();
      if (reply.ok() && target.file.size() == blob.size) return Done{};
      OCTAVO_TRY(const bool found, found_again(client, reply, target, url, addresses));
      if (found) continue;
      end_early(reply, blob, target.file.size());
      if (!tries.again(reply, target.file.size() > before)) return client.failed(reply, url);
    }
  }

  // A body whose end is the end of the connection is cut off without a word; an answer to a range
  // may be shorter than the range.
  static void end_early(Reply& reply, const Blob& blob, uint64_t bytes) {
    if (!reply.ok()) return;
    reply.transport = Transport::broken;
    reply.problem = blob.file + " ended after " + std::to_string(bytes) + " of " +
                    std::to_string(blob.size) + " bytes";
  }

  static Error no_such_bytes(const Blob& blob, uint64_t bytes) {
    return {Code::invalid_input, blob.file + ": " + shown(blob.url) + " ends after " +
                                     std::to_string(bytes) + " bytes, the hub tells " +
                                     std::to_string(blob.size) + "; pull again later"};
  }

  // Appends what is next in order, and finishes the files that this makes whole.
  Status deliver(size_t k, std::string bytes) {
    std::vector<Target*> whole;
    {
      const std::lock_guard lock(mutex_);
      arrived_[k] = std::move(bytes);
      for (auto at = arrived_.find(front_); at != arrived_.end(); at = arrived_.find(front_)) {
        const Piece& piece = pieces_[front_];
        Target& target = *piece.target;
        if (target.file.size() == piece.from) OCTAVO_CHECK(target.file.append(at->second));
        arrived_.erase(at);
        ++front_;
        if (--target.open_pieces == 0) whole.push_back(&target);
      }
    }
    moved_.notify_all();
    for (Target* target : whole) OCTAVO_CHECK(settle(*target));
    return Done{};
  }

  // Its size is right; is its content?
  Status settle(Target& target) {
    const Blob& blob = *target.blob;
    OCTAVO_TRY(const std::string hex, target.file.sync_and_hash(blob.hash.kind));
    if (hex == blob.hash.hex) return target.file.publish(cache_.blob(blob.etag));
    target.file.remove();
    if (target.resumed) {
      calls_.received(-static_cast<int64_t>(blob.size));
      const std::lock_guard lock(mutex_);
      again_.push_back(&blob);
      return Done{};
    }
    return Error{Code::invalid_input, blob.file + ": came with the " + hash_name(blob.hash.kind) +
                                          " " + hex + ", the hub tells " + blob.hash.hex +
                                          "; it was damaged or replaced on the way, and nothing "
                                          "of it was kept; pull again"};
  }

  // What the piece whose turn it was had got, for the next time.
  void salvage() {
    if (const auto at = partial_.find(front_); at != partial_.end()) {
      const Piece& piece = pieces_[front_];
      if (piece.target->file.size() == piece.from) (void)piece.target->file.append(at->second);
    }
    for (Target& target : targets_) {
      if (target.open_pieces > 0 && target.file.size() == 0) target.file.remove();
    }
  }

  const Cache& cache_;
  const DownloadCalls& calls_;
  Stop& stop_;
  std::vector<Target> targets_;
  std::vector<Piece> pieces_;
  std::mutex mutex_;
  std::condition_variable moved_;  // front_ did, or there is an error
  size_t next_ = 0;                // the next piece to ask for
  size_t front_ = 0;               // the next piece to append
  std::map<size_t, std::string> arrived_;
  std::map<size_t, std::string> partial_;  // of pieces that failed
  std::vector<const Blob*> again_;
  std::optional<Error> error_;
};

}  // namespace

Status download(const std::vector<Blob>& blobs, const Cache& cache, const DownloadCalls& calls,
                Stop& stop) {
  std::vector<const Blob*> left;
  for (const Blob& blob : blobs) left.push_back(&blob);
  // Twice at most: what was there from an earlier time can be wrong once.
  for (int round = 0; round < 2 && !left.empty(); ++round) {
    std::vector<const Blob*> again;
    Download one(cache, calls, stop);
    OCTAVO_CHECK(one.run(left, again));
    left = std::move(again);
  }
  return Done{};
}

}  // namespace octavo::hub
