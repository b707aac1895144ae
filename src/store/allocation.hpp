// What files take on their filesystem.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <filesystem>
#include <set>
#include <utility>

namespace mlctr {

/// st_blocks is in units of 512 bytes (stat(2)). Blocks that a reflink shares with another file count in both: only
/// reading every file's extent map would tell.
std::uint64_t allocated_bytes(const struct stat& status);

/// Adds up files, each once however many names it has.
class Allocation {
 public:
  /// What `path` and everything below it adds to what was counted before; what goes away meanwhile counts nothing.
  std::uint64_t add(const std::filesystem::path& path);

 private:
  std::set<std::pair<dev_t, ino_t>> counted_;  // of files with several names
};

/// The same for one tree alone.
std::uint64_t allocated_bytes_below(const std::filesystem::path& path);

/// What there will be more room once the tree is removed: a file that has a name elsewhere stays.
std::uint64_t freed_bytes_below(const std::filesystem::path& path);

}  // namespace mlctr
