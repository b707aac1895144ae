// The numbers of a tar record (tar_record.hpp), for those who write and read it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace mlctr::squashfs {

inline constexpr std::string_view k_tar_record_magic = "mlctr tar record 1\n";
inline constexpr std::size_t k_tar_record_trailer_bytes = 16;

inline void put_varint(std::string& text, std::uint64_t number) {
  for (; number >= 0x80; number >>= 7) text.push_back(static_cast<char>(number | 0x80));
  text.push_back(static_cast<char>(number));
}

// Small differences of either sign are small numbers.
inline std::uint64_t to_zigzag(std::uint64_t difference) {
  const auto sign = static_cast<std::uint64_t>(static_cast<std::int64_t>(difference) >> 63);
  return (difference << 1) ^ sign;
}
inline std::uint64_t from_zigzag(std::uint64_t number) {
  return (number >> 1) ^ (~(number & 1) + 1);
}

}  // namespace mlctr::squashfs
