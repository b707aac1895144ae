// RUN --mount=type=…: what a step sees besides its rootfs. Format: BuildKit's Dockerfile reference, "RUN --mount".
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>

namespace mlctr::containerfile {

enum class MountAccess { read_only, read_write };

/// Files of a stage, an image or the context. What is written to it is dropped after the step.
struct BindMount {
  std::string from;    ///< a stage's name or number, or an image; empty: the context
  std::string source;  ///< below its root; empty: all of it
  std::string target;  ///< relative to the working directory, or absolute
  MountAccess access = MountAccess::read_only;

  bool operator==(const BindMount&) const = default;
};

enum class CacheSharing { shared, privately, locked };

/// A directory that outlives the build.
struct CacheMount {
  std::string id;  ///< never empty: the target's path where none was given
  std::string target;
  std::string from;    ///< what a new cache begins as; empty: an empty directory
  std::string source;  ///< below `from`
  CacheSharing sharing = CacheSharing::shared;
  MountAccess access = MountAccess::read_write;
  std::optional<std::uint32_t> mode, user, group;  ///< of a new directory: 0755, 0, 0 where absent

  bool operator==(const CacheMount&) const = default;
};

struct TmpfsMount {
  std::string target;
  std::uint64_t size_bytes = 0;  ///< 0: no limit of its own

  bool operator==(const TmpfsMount&) const = default;
};

enum class Need { optional, required };

struct SecretMount {
  std::string id;                       ///< never empty
  std::string target;                   ///< of the file; empty: only the variable
  std::optional<std::string> variable;  ///< that holds its value
  Need need = Need::optional;
  std::optional<std::uint32_t> mode, user, group;  ///< of the file: 0400, 0, 0 where absent

  bool operator==(const SecretMount&) const = default;
};

using RunMount = std::variant<BindMount, CacheMount, TmpfsMount, SecretMount>;

}  // namespace mlctr::containerfile
