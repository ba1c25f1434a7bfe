#pragma once
// libcurl as hub/http.cc calls it. The program and the shared library are linked to it (curl.cc).
// The Python extension has a curl() of its own (src/python/loaded_curl.cc), which looks for it when
// something is to be downloaded: a wheel should neither carry it nor need it in order to load.

#include <curl/curl.h>

#include "base/result.h"

namespace octavo::hub {

// Each function under its name without "curl_".
struct Curl {
  decltype(&::curl_global_init) global_init;
  decltype(&::curl_version_info) version_info;
  decltype(&::curl_easy_init) easy_init;
  decltype(&::curl_easy_cleanup) easy_cleanup;
  decltype(&::curl_easy_reset) easy_reset;
  decltype(&::curl_easy_setopt) easy_setopt;
  decltype(&::curl_easy_perform) easy_perform;
  decltype(&::curl_easy_getinfo) easy_getinfo;
  decltype(&::curl_easy_strerror) easy_strerror;
  decltype(&::curl_slist_append) slist_append;
  decltype(&::curl_slist_free_all) slist_free_all;
  decltype(&::curl_url) url;
  decltype(&::curl_url_cleanup) url_cleanup;
  decltype(&::curl_url_set) url_set;
  decltype(&::curl_url_get) url_get;
  decltype(&::curl_free) free;
};

// The same one every time once it was found. Errors: not_found, saying how to get it.
Result<const Curl*> curl();

}  // namespace octavo::hub
