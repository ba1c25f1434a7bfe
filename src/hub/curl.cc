#include "hub/curl.h"

namespace octavo::hub {

Result<const Curl*> curl() {
  static const Curl linked{
      .global_init = &::curl_global_init,
      .version_info = &::curl_version_info,
      .easy_init = &::curl_easy_init,
      .easy_cleanup = &::curl_easy_cleanup,
      .easy_reset = &::curl_easy_reset,
      .easy_setopt = &::curl_easy_setopt,
      .easy_perform = &::curl_easy_perform,
      .easy_getinfo = &::curl_easy_getinfo,
      .easy_strerror = &::curl_easy_strerror,
      .slist_append = &::curl_slist_append,
      .slist_free_all = &::curl_slist_free_all,
      .url = &::curl_url,
      .url_cleanup = &::curl_url_cleanup,
      .url_set = &::curl_url_set,
      .url_get = &::curl_url_get,
      .free = &::curl_free,
  };
  return &linked;
}

}  // namespace octavo::hub
