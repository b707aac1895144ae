// The directories of small files that say what every container gets: environ.d, mounts.d and hooks.d of /etc/mlctr and
// of the user's $XDG_CONFIG_HOME/mlctr. An admin's file can be added to but not replaced.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "app/configuration.hpp"

namespace mlctr {

/// The paths of `directory`'s files that end in `suffix`: the admin's by name, then the user's by name, as enroot has
/// them. Hidden ones are left out. Costs two failing opens where there are none. Throws Error for a directory that
/// everyone may write to, or that is another user's.
std::vector<std::filesystem::path> list_drop_ins(const Configuration& configuration, std::string_view directory,
                                                 std::string_view suffix);

/// A file's text, at most 1 MiB. Throws Error as read_settings_file() does, for a FIFO too.
std::string read_drop_in(const Configuration& configuration, const std::filesystem::path& file);

/// Whether it can be executed; one that can't is not run, as in enroot. Throws Error where others may have written it.
bool is_trusted_program(const Configuration& configuration, const std::filesystem::path& file);

}  // namespace mlctr
