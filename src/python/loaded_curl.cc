// hub::curl() of the extension: the system's libcurl, looked for when something is to be
// downloaded. The linker meets this one before the archive of `hub`, and leaves curl.cc of that
// alone.

#include <dlfcn.h>

#include <array>
#include <mutex>
#include <optional>

#include "hub/curl.h"

namespace octavo::hub {

namespace {

// Of one ABI for twenty years. Debian has a second one, which is often the only one that is there.
constexpr std::array<const char*, 2> kLibraries = {"libcurl.so.4", "libcurl-gnutls.so.4"};
constexpr unsigned kOldest = 0x075500;  // 7.85, as in CMakeLists.txt

std::optional<Curl> load(const char* file) {
  void* library = ::dlopen(file, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return std::nullopt;
  bool whole = true;
  const auto find = [&]<class F>(F& function, const char* name) {
    function = reinterpret_cast<F>(::dlsym(library, name));
    whole = whole && function != nullptr;
  };
  Curl curl{};
  find(curl.global_init, "curl_global_init");
  find(curl.version_info, "curl_version_info");
  find(curl.easy_init, "curl_easy_init");
  find(curl.easy_cleanup, "curl_easy_cleanup");
  find(curl.easy_reset, "curl_easy_reset");
  find(curl.easy_setopt, "curl_easy_setopt");
  find(curl.easy_perform, "curl_easy_perform");
  find(curl.easy_getinfo, "curl_easy_getinfo");
  find(curl.easy_strerror, "curl_easy_strerror");
  find(curl.slist_append, "curl_slist_append");
  find(curl.slist_free_all, "curl_slist_free_all");
  find(curl.url, "curl_url");
  find(curl.url_cleanup, "curl_url_cleanup");
  find(curl.url_set, "curl_url_set");
  find(curl.url_get, "curl_url_get");
  find(curl.free, "curl_free");
  if (whole && curl.version_info(CURLVERSION_NOW)->version_num >= kOldest) return curl;
  ::dlclose(library);
  return std::nullopt;
}

}  // namespace

Result<const Curl*> curl() {
  static std::mutex mutex;
  static std::optional<Curl> loaded;
  const std::lock_guard lock(mutex);
  for (const char* name : kLibraries) {
    if (!loaded) loaded = load(name);
  }
  if (loaded) return &*loaded;
  return Error{
      Code::not_found,
      "it is not in the cache, and to download it needs libcurl.so.4 of version 7.85 or newer, "
      "which is not on this system: install it (Debian: apt-get install libcurl4), or put "
      "the model into the cache with `octavo pull` or `hf download`"};
}

}  // namespace octavo::hub
