// Files and directories that must not outlive the process which makes them, for the next one to remove where it was
// killed. It holds a lock on them (flock(2)); as a lock may be one node's alone, their names say on which they were
// made:
//
//   name = prefix BOOT "-" RANDOM      BOOT: 8 digits of the kernel's boot id; RANDOM: random_suffix()
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr {

/// A new name; `prefix` tells what it is for (".mlctr-").
std::string leftover_name(std::string_view prefix);

/// As long as it is open, it is no leftover. `fd`: of the file or directory.
void hold_leftover(int fd) noexcept;

/// What of that prefix nobody holds: this user's, at least seconds old; where locks can't tell, as another node made it
/// or the filesystem has none, a day.
std::vector<std::filesystem::path> find_leftovers(const std::filesystem::path& directory, std::string_view prefix);

}  // namespace mlctr
