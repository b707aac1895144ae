// The functions of libcurl that mlctr calls, without the prefix they share (base/late_library.hpp).
#pragma once

#include <curl/curl.h>

#include "base/late_library.hpp"

namespace mlctr {

struct LibCurl {
  LateLibrary library{"libcurl.so.4", "libcurl4"};
  LateFunction<decltype(::curl_easy_cleanup)> easy_cleanup{library, "curl_easy_cleanup"};
  LateFunction<decltype(::curl_easy_getinfo)> easy_getinfo{library, "curl_easy_getinfo"};
  LateFunction<decltype(::curl_easy_init)> easy_init{library, "curl_easy_init"};
  LateFunction<decltype(::curl_easy_setopt)> easy_setopt{library, "curl_easy_setopt"};
  LateFunction<decltype(::curl_easy_strerror)> easy_strerror{library, "curl_easy_strerror"};
  LateFunction<decltype(::curl_free)> free{library, "curl_free"};
  LateFunction<decltype(::curl_global_init)> global_init{library, "curl_global_init"};
  LateFunction<decltype(::curl_multi_add_handle)> multi_add_handle{library, "curl_multi_add_handle"};
  LateFunction<decltype(::curl_multi_cleanup)> multi_cleanup{library, "curl_multi_cleanup"};
  LateFunction<decltype(::curl_multi_info_read)> multi_info_read{library, "curl_multi_info_read"};
  LateFunction<decltype(::curl_multi_init)> multi_init{library, "curl_multi_init"};
  LateFunction<decltype(::curl_multi_perform)> multi_perform{library, "curl_multi_perform"};
  LateFunction<decltype(::curl_multi_poll)> multi_poll{library, "curl_multi_poll"};
  LateFunction<decltype(::curl_multi_remove_handle)> multi_remove_handle{library, "curl_multi_remove_handle"};
  LateFunction<decltype(::curl_multi_setopt)> multi_setopt{library, "curl_multi_setopt"};
  LateFunction<decltype(::curl_multi_wakeup)> multi_wakeup{library, "curl_multi_wakeup"};
  LateFunction<decltype(::curl_slist_append)> slist_append{library, "curl_slist_append"};
  LateFunction<decltype(::curl_slist_free_all)> slist_free_all{library, "curl_slist_free_all"};
  LateFunction<decltype(::curl_url)> url{library, "curl_url"};
  LateFunction<decltype(::curl_url_cleanup)> url_cleanup{library, "curl_url_cleanup"};
  LateFunction<decltype(::curl_url_get)> url_get{library, "curl_url_get"};
  LateFunction<decltype(::curl_url_set)> url_set{library, "curl_url_set"};
  LateFunction<decltype(::curl_version_info)> version_info{library, "curl_version_info"};
};

/// Loaded at the first call. Throws Error where it is not installed.
inline const LibCurl& libcurl() {
  static const LibCurl loaded;
  return loaded;
}

}  // namespace mlctr
