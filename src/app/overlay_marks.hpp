// fuse-overlayfs marks directories that hide what the image has there in a way of its own, which neither the kernel's
// overlay nor `mlctr save` knows: before they see an upper directory that it wrote to, its marks become the kernel's.
#pragma once

#include "store/container_store.hpp"

namespace mlctr {

/// From now on fuse-overlayfs can write to the container's upper directory, which may then have such marks.
void prepare_for_fuse_overlayfs(const StoredContainer& container);

/// Translates them, where there may be some. Nobody may be using the container. Safe to be killed at any moment.
void translate_foreign_marks(const StoredContainer& container);

}  // namespace mlctr
