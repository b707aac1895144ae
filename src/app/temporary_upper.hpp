// Where an unnamed container's changes go.
#pragma once

#include <optional>

#include "app/configuration.hpp"
#include "store/unpacked_store.hpp"

namespace mlctr {

/// Directories "upper" and "work" in a tree on disk, beside the named containers; absent where memory has them (a tmpfs
/// that the container brings along). A tmpfs has no user.* attributes before Linux 6.6, and an overlay then can't
/// remove a directory of the image. Throws Error where run.changes=disk can't be had.
std::optional<UnpackedTree> make_temporary_upper(const Configuration& configuration);

}  // namespace mlctr
