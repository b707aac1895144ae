// Sizes and durations as people write them in settings and options.
//   size     ::= number [unit]   unit ::= B | K | KB | M | MB | G | GB | T | TB (powers of 1000) | KiB | MiB | GiB |
//   TiB duration ::= number [unit]   unit ::= s | m | h | d
// In any case of letters; a size may have a fraction.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace mlctr {

/// "50GiB", "1.5 GB", "500M", "4096". Throws UsageError.
std::uint64_t parse_size(std::string_view text);
/// "30s", "5m", "30". Throws UsageError.
std::chrono::seconds parse_duration(std::string_view text);

/// The shortest exact form that parse_size takes back: "50GiB", "1000".
std::string write_size(std::uint64_t bytes);

}  // namespace mlctr
