// Which kind of lock a filesystem can be trusted with.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string_view>

namespace mlctr {

enum class LockKind {
  open_file,  ///< fcntl(2), F_OFD_SETLK: seen by every node, or refused by the filesystem when it is tried
  lease,      ///< the filesystem would grant locks that other nodes do not see, or that outlive a lost node
};

/// For locks in `directory`; $MLCTR_LOCKS ("lease", "open_file") wins.
LockKind choose_lock_kind(const std::filesystem::path& directory);

/// The same from the text of /proc/self/mountinfo (proc(5)) and the st_dev of a directory.
LockKind lock_kind_of_mount(std::string_view mountinfo, dev_t device);

}  // namespace mlctr
