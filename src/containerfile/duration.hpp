// "1h2m3.5s": Go's time.ParseDuration.
#pragma once

#include <chrono>
#include <optional>
#include <string_view>

namespace mlctr::containerfile {

/// Absent where it is none, or longer than 292 years.
std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text);

}  // namespace mlctr::containerfile
