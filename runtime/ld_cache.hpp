// glibc's /etc/ld.so.cache, read and written. A container's is hostile input: every offset is checked. (glibc's
// sysdeps/generic/dl-cache.h)
//
//   cache     = [old] new
//   old       = "ld.so-1.7.0\0" u32:count count * { i32:flags u32:key u32:value }, padded to 8
//   new       = "glibc-ld.so.cache1.1" u32:count u32:string-bytes u8:flags 3*u8 u32:extension 3*u32
//               count * { i32:flags u32:key u32:value u32:os-version u64:hwcap } strings [extension]
//   extension = u32:0xEAA42174 u32:count count * { u32:tag u32:flags u32:offset u32:bytes }
//
// Offsets count from the start of `new`. Entries descend by name, numbers in names as numbers; of equal ones the first
// wins.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr::runtime {

inline constexpr std::uint64_t k_max_ld_cache_bytes = 16u << 20;

struct LdCacheEntry {
  std::int32_t flags = 0;
  std::string name;  ///< a soname
  std::string path;
  std::uint32_t os_version = 0;
  std::uint64_t hwcap = 0;  ///< where the extension has names: an index into them, marked by bit 62
};

struct LdCacheExtension {
  std::uint32_t tag = 0;
  std::string bytes;
};

struct LdCache {
  std::vector<LdCacheEntry> entries;
  std::vector<std::string> hwcap_names;      ///< "x86-64-v3"
  std::vector<LdCacheExtension> extensions;  ///< the others: 0 is who generated it
};

/// Absent where the bytes are no such cache, or contradict themselves.
std::optional<LdCache> parse_ld_cache(std::string_view bytes);

/// In the loader's order, entries of one name as they come.
std::string write_ld_cache(LdCache cache);

/// The loader's order of names: `left` comes later in a cache.
bool is_lower_in_ld_cache(std::string_view left, std::string_view right);

}  // namespace mlctr::runtime
