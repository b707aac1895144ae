// What is mounted into a container, as values: a plan is a list of these, made before the first system call and applied
// in order (runtime/apply_mounts.hpp).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace mlctr::runtime {

/// A file, directory or device of the host, with all that is mounted below it: in a user namespace a bind without that
/// is refused where something is (mount_namespaces(7), locked mounts).
struct BindMount {
  std::filesystem::path source;  ///< absolute
};

/// A squashfs file's tree: a dataset, say.
struct SquashfsMount {
  std::filesystem::path file;  ///< absolute
};

struct TmpfsMount {
  mode_t mode = 0755;
  std::uint64_t size_bytes = 0;  ///< 0: the kernel's default, half of the memory
};

/// A file that the host has no such file for, on the container's own tmpfs.
struct FileMount {
  std::string content;
};

/// A filesystem of the kernel's own: "proc", "sysfs", "mqueue", "devpts" with its options.
struct KernelMount {
  std::string filesystem;
  std::vector<std::pair<std::string, std::string>> options{};
};

/// A symlink, in a directory that was mounted before (/dev/fd).
struct LinkNode {
  std::string target;
};

struct DirectoryNode {
  mode_t mode = 0755;
};

/// Takes away what an earlier mount of the plan put at the target.
struct Unmount {};

/// A directory or a file that is in the container by then, shown at a second place.
struct ContainerTree {
  std::string path;  ///< in the container, absolute
};

/// What an earlier mount of the plan put at `path`, taken to the target.
struct MovedMount {
  std::string path;  ///< in the container, absolute
};

/// Other attributes and another propagation for what an earlier mount of the plan put at the target.
struct ChangedMount {};

using MountSource = std::variant<BindMount, SquashfsMount, TmpfsMount, FileMount, KernelMount, LinkNode, DirectoryNode,
                                 Unmount, ContainerTree, MovedMount, ChangedMount>;

enum class IfMissing { fail, skip };
enum class IfNoTarget { make, fail };

struct Mount {
  MountSource source;
  std::string target;                      ///< in the container, absolute
  std::uint64_t attributes = 0;            ///< MOUNT_ATTR_* of mount_setattr(2) to add, for all that is below as well
  std::uint64_t propagation = 0;           ///< MS_PRIVATE, MS_SLAVE …; 0: private
  IfMissing if_missing = IfMissing::fail;  ///< skip: the container does without what the host doesn't have
  IfNoTarget if_no_target = IfNoTarget::make;
  std::string origin{};  ///< what asked for it, "FILE:LINE"; empty where a message need not say
};

}  // namespace mlctr::runtime
