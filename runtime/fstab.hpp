// Lines of mounts in enroot's form of fstab(5): mounts.d/*.fstab, what hooks append to $ENROOT_MOUNTS, /etc/fstab of
// enroot's images. Pure: text in, mounts of a plan out. Source: enroot's doc/image-format.md and enroot-mount.
//
//   line    = source [target] [type] [options] [freq] [pass]       "\040" is a blank; fields that are clear may be
//   missing options = those of mount(8), and of the filesystem
//           | x-create=dir | x-create=file | x-create=auto         the target is made; without one it must be there
//           | x-move | x-detach | nofail
//   A file with a squashfs in it is the directory in it where the type is squashfs (its target is made) or x-create is
//   auto or dir.
//   pass    = -1: before hooks run   0: after them, before the user's --mount   others: not for containers
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/environment_file.hpp"
#include "runtime/mount.hpp"

namespace mlctr::runtime {

struct FstabLine {
  unsigned number = 0;  ///< from 1
  std::string source, target, type;
  std::vector<std::string> options{};
  int pass = 0;
};

/// `value_of` gives "${NAME}"; without one they stay. Throws Error "LINE: what is wrong".
std::vector<FstabLine> parse_fstab(std::string_view text, const VariableLookup& value_of);

struct FstabPlace {
  std::string file;                 ///< for messages: each mount gets its origin, "file:12"
  std::filesystem::path rootfs;     ///< where hooks see the container's root: a source below it means the container's
  std::filesystem::path directory;  ///< relative sources count from here
  /// Whether a file is a squashfs image. Empty where no images can be mounted: what hooks ask for comes too late.
  std::function<bool(const std::filesystem::path&)> is_squashfs{};
};

/// Throws Error "FILE:12: what is wrong".
Mount plan_fstab_line(const FstabLine& line, const FstabPlace& place);

struct FstabMounts {
  std::vector<Mount> before_hooks, after_hooks;
};

FstabMounts plan_fstab(std::string_view text, const VariableLookup& value_of, const FstabPlace& place);

}  // namespace mlctr::runtime
