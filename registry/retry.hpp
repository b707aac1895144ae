// When to try again, and how long to wait before it.
#pragma once

#include <chrono>
#include <ctime>
#include <optional>
#include <string_view>

namespace mlctr {

/// What a Retry-After header asks for (RFC 9110, 10.2.3: seconds, or an IMF-fixdate); absent where it is malformed or
/// past.
std::optional<std::chrono::milliseconds> parse_retry_after(std::string_view value, std::time_t now);

/// "Sun, 06 Nov 1994 08:49:37 GMT" in seconds since 1970; absent where it is anything else.
std::optional<std::time_t> parse_http_date(std::string_view text);

/// `first`, doubled for each attempt that failed before (`failures` counts from 1), at most 30 s, times 0.75 to 1.25 as
/// `random` goes from 0 to 1: many nodes that failed together must not come back together.
std::chrono::milliseconds backoff(unsigned failures, std::chrono::milliseconds first, double random);

/// From 0 to 1, for backoff().
double random_fraction();

/// Whether the same request may well succeed later: 408, 429, 500, 502, 503, 504.
bool is_retryable_status(long status);

/// A server that asks for a longer pause than this is not waited for.
inline constexpr std::chrono::seconds k_longest_retry_after{120};

}  // namespace mlctr
