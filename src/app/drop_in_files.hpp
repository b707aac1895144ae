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
/// everyone may write to, in the system's a group as well, or that is another user's.
std::vector<std::filesystem::path> list_drop_ins(const Configuration& configuration, std::string_view directory,
                                                 std::string_view suffix);

/// A file's text, at most 1 MiB. Throws Error as read_settings_file() does, for a FIFO too.
std::string read_drop_in(const Configuration& configuration, const std::filesystem::path& file);

/// not_executable: not run, as in enroot; dangling_link: one of no file.
enum class HookKind { program, not_executable, dangling_link };

/// Throws Error for a program that others than root and the user may have written: it or a directory it is in.
HookKind look_at_hook(const Configuration& configuration, const std::filesystem::path& file);

}  // namespace mlctr
