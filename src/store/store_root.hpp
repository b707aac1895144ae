// The directory of a store: made where there is none, refused where it can't be trusted or written.
#pragma once

#include <filesystem>

namespace mlctr {

/// Creates `root` and its parents where missing: 0700 below the user's data home ($XDG_DATA_HOME, ~/.local/share), else
/// as the umask has it.
void create_store_root(const std::filesystem::path& root);

/// Throws where anyone on the machine can write to it: whoever can may put his own image in the place of yours.
void check_store_is_private(const std::filesystem::path& root);

/// Throws where we can't or shouldn't write: not ours and not shared by a group of ours, a read-only filesystem, or the
/// store of an ordinary user while we are root (our files there would lock him out).
void check_store_is_writable(const std::filesystem::path& root);

}  // namespace mlctr
