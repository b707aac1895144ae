// ADD of a git repository: its files at one commit, fetched by the host's git.
#pragma once

#include <filesystem>
#include <string>

#include "build/git_source.hpp"

namespace mlctr {

/// Makes `directory` and fills it: without .git, modes 0644 or 0755, links as they are. The repository's hooks,
/// filters and submodules do nothing; of the user's git settings only those for fetching count. `commit`: what the
/// reference must be, as many digits as the user gave; empty: whatever it is. Throws Error.
void fetch_repository(const build::GitSource& source, const std::string& commit,
                      const std::filesystem::path& directory);

}  // namespace mlctr
