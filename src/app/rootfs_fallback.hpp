// What a run falls back to where the kernel can't mount images or overlays (DESIGN decision 5): images unpacked to
// directories, beside the containers.
#pragma once

#include <string>
#include <vector>

#include "app/configuration.hpp"
#include "app/open_image.hpp"
#include "app/run_target.hpp"
#include "runtime/rootfs_choice.hpp"

namespace mlctr {

/// A container of `subject_image`; `container` absent: an unnamed one. `images`, the rootfs's first, must stay where
/// they are. `tell` gets a line for the user; it may be empty.
runtime::RootfsFallback make_rootfs_fallback(const Configuration& configuration, const BaseImage& image,
                                             const StoredContainer* container, const std::vector<OpenImage>& images,
                                             std::function<void(const std::string&)> tell);

/// Whether a container's files are in a copy of its own.
runtime::CopyState find_copy(const StoredContainer& container);

/// Removes what runs that were killed left there.
void remove_dead_unpacked(const std::filesystem::path& containers);

}  // namespace mlctr
