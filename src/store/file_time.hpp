// Times as a filesystem keeps them. On a shared one they may come from the file server's clock or another node's, so
// they are compared with each other and with filesystem_now() only, never with this machine's clock.
#pragma once

#include <sys/stat.h>

#include <chrono>
#include <filesystem>

namespace mlctr {

using FileTime = std::chrono::sys_time<std::chrono::nanoseconds>;

FileTime modification_time(const struct stat& status);

/// The time that a file made in `directory` gets now: makes one to see.
FileTime filesystem_now(const std::filesystem::path& directory);

}  // namespace mlctr
