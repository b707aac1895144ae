// "512m", "1.5GiB": sizes as docker/go-units has them (powers of 1024).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace mlctr::containerfile {

/// Absent where it is no size below 2^63.
std::optional<std::uint64_t> parse_byte_size(std::string_view text);

}  // namespace mlctr::containerfile
