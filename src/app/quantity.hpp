// Sizes and durations as people write them in settings and options.
//   size     ::= number [unit]      unit ::= B | KB | MB | GB | TB (powers of 1000) | KiB | MiB | GiB | TiB, K | M | G
//   | T (1024) duration ::= number [unit]      unit ::= s | m | h | d
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlctr {

/// "50GiB", "1.5G", "500MB", "4096". Throws UsageError.
std::uint64_t parse_size(std::string_view text);
/// "30s", "5m", "30". Throws UsageError.
std::chrono::seconds parse_duration(std::string_view text);

/// The shortest exact form that parse_size takes back: "50GiB", "1000".
std::string write_size(std::uint64_t bytes);

}  // namespace mlctr
