// Open-file-description locks: fcntl(2), "Open file description locks (non-POSIX)". The kernel (or the file server)
// frees them when the last descriptor goes, however its process ends. Unlike flock(2) they reach the server on NFS and
// Lustre; unlike traditional POSIX locks they exclude other threads of the same process too.
#pragma once

#include <filesystem>
#include <optional>

#include "store/lock_attempt.hpp"

namespace mlctr {

/// One try at locking the file `path`, created where it is not there. Absent where its filesystem has no such locks.
std::optional<LockAttempt> try_open_file_lock(const std::filesystem::path& path);

/// Whether anyone holds it now.
bool is_open_file_locked(const std::filesystem::path& path);

}  // namespace mlctr
