// From a name to a snapshot: ask, choose, get what is missing, then let it appear.

#include <algorithm>
#include <atomic>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>

#include "base/out_of_memory.h"
#include "base/progress.h"
#include "formats/snapshot_names.h"
#include "hub/curl.h"
#include "hub/download.h"
#include "hub/find.h"
#include "hub/hub_name.h"
#include "hub/selection.h"

namespace octavo {

namespace {

using namespace hub;

constexpr size_t kConnections = 4;
constexpr const char* kStage = "pull";

class Pull {
 public:
  Pull(const HubName& name, const PullOptions& options, const HubSettings& settings,
       const Progress& progress)
      : name_(name),
        options_(options),
        settings_(settings),
        progress_(progress),
        cache_(settings, name),
        client_(settings, name.repository, stop_),
        repository_(client_, settings, name) {}

  Result<PullReport> run() {
    Result<PullReport> report = all();
    if (thrown_) std::rethrow_exception(thrown_);
    if (!report && options_.stop.stop_requested())
      return Error{Code::io,
                   name_.repository + ": the download was stopped; what has arrived is kept"};
    return report;
  }

 private:
  Result<PullReport> all() {
    OCTAVO_TRY(commit_, repository_.commit());
    OCTAVO_TRY(files_, repository_.files(commit_));
    OCTAVO_TRY(Selection chosen, select_files(files_, options_, name_.repository));
    for (const std::string& name : chosen.about) add(name);
    if (!chosen.index.empty()) add(chosen.index);
    const bool sharded = !chosen.index.empty();
    if (!sharded) {
      for (const std::string& name : chosen.weights) add(name);
    }
    OCTAVO_CHECK(cache_.prepare());
    OCTAVO_CHECK(fetch());
    if (sharded) {  // only now it is known which shards there are
      OCTAVO_TRY(const auto shards, shards_in(chosen.index));
      for (const std::string& name : shards) add(name);
      for (const std::string& name : chosen.weights) add(name);
      OCTAVO_CHECK(fetch());
    }
    OCTAVO_CHECK(appear());
    report_.commit = commit_;
    report_.folder = cache_.snapshot(commit_);
    report_.source = chosen.gguf.empty() ? report_.folder : report_.folder / chosen.gguf;
    return std::move(report_);
  }

  // What Progress throws must not meet libcurl, which is C: it ends the pull, and then comes out of
  // run(). One thread at a time.
  void say(std::string_view stage, uint64_t done, uint64_t total) {
    if (thrown_) return;
    try {
      report(progress_, stage, done, total);
    } catch (...) {
      thrown_ = std::current_exception();
      stop_.request();
    }
  }

  void add(const std::string& name) {
    const bool known = std::any_of(wanted_.begin(), wanted_.end(),
                                   [&](const auto* file) { return file->path == name; });
    for (const RepositoryFile& file : files_) {
      if (!known && file.path == name) wanted_.push_back(&file);
    }
  }

  Result<std::vector<std::string>> shards_in(const std::string& index) {
    const auto etag = etags_.find(index);
    const auto file =
        etag == etags_.end() ? cache_.snapshot(commit_) / index : cache_.blob(etag->second);
    return shards_in_file(file, name_.repository + "/" + index, files_);
  }

  // Those wanted that are neither in the snapshot nor were got before.
  Status fetch() {
    std::vector<const RepositoryFile*> missing;
    for (; settled_ < wanted_.size(); ++settled_) {
      const RepositoryFile* file = wanted_[settled_];
      report_.files.push_back({file->path, file->size, false});
      if (!cache_.has(commit_, *file)) missing.push_back(file);
    }
    std::vector<Blob> blobs(missing.size());
    OCTAVO_CHECK(locate(missing, blobs));
    std::vector<std::string> etags;
    for (const Blob& blob : blobs) {
      etags_[blob.file] = blob.etag;
      etags.push_back(blob.etag);
    }
    OCTAVO_TRY(const Cache::Locks locks, cache_.lock(std::move(etags), [&] {
      say("waiting for another pull", 0, 0);
      return !stop_.requested();
    }));
    // Whoever held a lock may have made the blob.
    std::map<std::string, Blob> needed;
    uint64_t bytes = 0;
    for (Blob& blob : blobs) {
      std::error_code error;
      if (file_size(cache_.blob(blob.etag), error) == blob.size && !error) continue;
      for (PullReport::File& file : report_.files) {
        if (file.name == blob.file) file.downloaded = true;
      }
      if (needed.contains(blob.etag)) continue;
      const uint64_t there = file_size(cache_.incomplete(blob.etag), error);
      bytes += blob.size - (error ? 0 : std::min<uint64_t>(there, blob.size));
      total_ += blob.size;
      report_.downloaded += blob.size;
      needed.emplace(blob.etag, std::move(blob));
    }
    if (needed.empty()) return Done{};
    if (const uint64_t space = cache_.free_bytes(); space < bytes)
      return Error{Code::io, cache_.folder().string() + ": " + name_.repository + " needs " +
                                 std::to_string(bytes) + " bytes there, " + std::to_string(space) +
                                 " are free; free some space, or set HF_HUB_CACHE to a folder on "
                                 "another disk"};
    std::vector<Blob> list;
    for (auto& [etag, blob] : needed) list.push_back(std::move(blob));
    const DownloadCalls calls{
        .client = [&] { return Client(settings_, name_.repository, stop_); },
        .received = [&](int64_t count) { received(count); },
        .locate = [](Client& client, const std::string& url) -> Result<std::string> {
          OCTAVO_TRY(const Client::FileHead head, client.head(url));
          return head.location;
        }};
    return download(list, cache_, calls, stop_);
  }

  void received(int64_t count) {
    const std::lock_guard lock(mutex_);  // Progress is called by one thread at a time
    arrived_ += count;
    say(kStage, static_cast<uint64_t>(std::max<int64_t>(arrived_, 0)), total_);
  }

  // What the hub calls each file's content, and where it is; several questions at once.
  Status locate(const std::vector<const RepositoryFile*>& missing, std::vector<Blob>& blobs) {
    std::atomic<size_t> next{0};
    std::optional<Error> error;
    const auto fail = [&](Error what) {
      {  // Before the others are told: what they say then is that they were stopped.
        const std::lock_guard lock(mutex_);
        if (!error) error = std::move(what);
      }
      stop_.request();
    };
    const auto work = [&](Client& client) {
      for (size_t i = next++; i < missing.size() && !stop_.requested(); i = next++) {
        Result<Blob> blob = describe(client, *missing[i]);
        if (blob) {
          blobs[i] = *std::move(blob);
        } else {
          fail(std::move(blob).error());
        }
      }
    };
    {
      std::vector<std::jthread> threads;
      try {
        for (size_t i = 1; i < std::min(kConnections, missing.size()); ++i)
          threads.emplace_back([&] {
            try {
              Client client(settings_, name_.repository, stop_);
              work(client);
            } catch (const std::bad_alloc&) {
              fail({Code::out_of_memory, "the pull needs more memory than there is"});
            }
          });
      } catch (const std::system_error&) {  // fewer at once, then
      }
      work(client_);
    }
    if (error) return *std::move(error);
    // Asked for from outside between two questions: not all blobs are known.
    if (stop_.requested()) return Error{Code::io, name_.repository + ": was stopped"};
    return Done{};
  }

  Result<Blob> describe(Client& client, const RepositoryFile& file) const {
    const std::string url = repository_.file_url(commit_, file.path);
    OCTAVO_TRY(const Client::FileHead head, client.head(url));
    const auto wrong = [&](const std::string& what) {
      return Error{Code::invalid_input, shown(url) + ": " + what +
                                            "; this is not the answer of a hub, check HF_ENDPOINT"};
    };
    if (!is_safe_name(head.etag)) return wrong("has no ETag to keep it under");
    if (!head.commit.empty() && head.commit != commit_)
      return wrong("is of commit " + head.commit.substr(0, 64) + ", not of " + commit_);
    if (!head.size.empty() && head.size != std::to_string(file.size))
      return wrong("has " + head.size.substr(0, 32) + " bytes, and " + std::to_string(file.size) +
                   " in the hub's list");
    std::optional<Hash> hash = file.hash;
    if (!hash && is_hex(head.etag, 64)) hash = Hash{HashKind::sha256, head.etag};
    if (!hash && is_hex(head.etag, 40)) hash = Hash{HashKind::git_blob, head.etag};
    if (!hash) return wrong("has no hash to check it with");
    // It would stay in the cache under a hash that is not its own.
    if (is_hex(head.etag, 64) && hash->kind == HashKind::sha256 && hash->hex != head.etag)
      return wrong("has the SHA-256 " + head.etag + ", and " + hash->hex + " in the hub's list");
    return Blob{file.path, url, head.location, head.etag, file.size, *std::move(hash)};
  }

  // All contents are there. Weights last: who finds them finds everything.
  Status appear() {
    for (const RepositoryFile* file : wanted_) {
      if (const auto etag = etags_.find(file->path); etag != etags_.end())
        OCTAVO_CHECK(cache_.link(commit_, file->path, etag->second));
    }
    for (const char* name : kSnapshotNames) {
      const bool there = std::any_of(files_.begin(), files_.end(),
                                     [&](const RepositoryFile& file) { return file.path == name; });
      if (!there) OCTAVO_CHECK(cache_.note_absent(commit_, name));
    }
    return cache_.set_revision(name_.revision, commit_);
  }

  const HubName& name_;
  const PullOptions& options_;
  const HubSettings& settings_;
  const Progress& progress_;
  Stop stop_;
  const std::stop_callback<std::function<void()>> stopped_{options_.stop,
                                                           [this] { stop_.request(); }};
  std::exception_ptr thrown_;
  Cache cache_;
  Client client_;
  Repository repository_;
  std::string commit_;
  std::vector<RepositoryFile> files_;
  std::vector<const RepositoryFile*> wanted_;
  size_t settled_ = 0;                        // of wanted_
  std::map<std::string, std::string> etags_;  // of files that are not in the snapshot yet
  std::mutex mutex_;
  int64_t arrived_ = 0;
  uint64_t total_ = 0;
  PullReport report_;
};

}  // namespace

Result<PullReport> pull_model(const HubName& name, const PullOptions& options,
                              const HubSettings& settings, const Progress& progress) {
  return or_out_of_memory([&]() -> Result<PullReport> {
    if (settings.offline) return find_cached(name, options, settings);
    if (const auto found = curl(); !found) return Error(found.error());
    return Pull(name, options, settings, progress).run();
  });
}

Result<PullReport> get_model(const HubName& name, const PullOptions& options,
                             const HubSettings& settings, const Progress& progress) {
  auto cached = find_cached(name, options, settings);
  if (cached || settings.offline) return cached;
  if (!curl()) {  // Nothing can be asked: as offline, the notes say what may lack.
    HubSettings alone = settings;
    alone.offline = true;
    if (auto found = find_cached(name, options, alone)) return found;
  }
  return pull_model(name, options, settings, progress);
}

}  // namespace octavo
