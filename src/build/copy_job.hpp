// COPY and ADD: what of a source tree goes where in a step's rootfs, by the rules of BuildKit's reference.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "build/mode_change.hpp"
#include "build/source_tree.hpp"
#include "containerfile/ignore_file.hpp"
#include "image/digest.hpp"

namespace mlctr::build {

enum class DestinationKind { as_is, directory };  ///< directory: it ends with '/', or there are several sources
enum class ArchiveHandling { copy, unpack };

struct CopyJob {
  std::vector<std::string> sources{};                           ///< with wildcards
  std::vector<std::pair<std::string, std::string>> contents{};  ///< names and contents of heredocs
  std::string destination;                                      ///< absolute
  DestinationKind kind = DestinationKind::as_is;
  std::optional<std::string> owner{};  ///< "NAME|UID[:GROUP|GID]"
  std::optional<ModeChange> mode{};
  std::vector<std::string> excludes{};
  bool keeps_parents = false;  ///< --parents
  ArchiveHandling archives = ArchiveHandling::copy;
};

struct FileOwner {
  std::uint32_t uid = 0, gid = 0;
};

/// By absolute path: whose files and directories a step made are to be, where that is not its only user.
using FileOwners = std::map<std::string, FileOwner>;

struct CopyResult {
  Digest content;  ///< as digest_sources gives it, of what was really copied
  FileOwners owners;
};

/// Of all that the job would copy: names, kinds, modes, contents, link targets; not times and owners. Throws Error
/// where a source is missing.
Digest digest_sources(const CopyJob& job, const SourceTree& tree);

/// Copies below `root`, whose links lead nowhere else. Throws Error.
CopyResult run_copy(const CopyJob& job, const SourceTree& tree, Fd root);

/// Makes a directory and its parents where they are missing (WORKDIR). Throws Error where something else is there.
FileOwners make_directory_inside(const std::string& path, const std::string& owner, Fd root);

}  // namespace mlctr::build
