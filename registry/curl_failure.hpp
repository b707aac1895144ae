// What a failed transfer of libcurl's means in the words of this program.
#pragma once

#include <curl/curl.h>

#include <string_view>

#include "registry/exchange.hpp"

namespace mlctr {

/// `easy` as the transfer left it; `detail` is the content of its CURLOPT_ERRORBUFFER, which names no secret.
ExchangeFailure describe_failure(CURL* easy, CURLcode code, std::string_view detail);

}  // namespace mlctr
