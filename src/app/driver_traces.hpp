// What a host's driver leaves in a named container's files while it runs, taken out again when it has ended: the driver
// is the host's of that day, and neither a later start nor a saved image is to have anything of it.
//
// <container>/driver-traces lists them, a path each, with a NUL behind it, and a '-' in front of one that the image has
// as well: there the container had nothing any more. The file is there as long as they may be.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "squashfs/reader.hpp"
#include "squashfs/upper_layer.hpp"
#include "store/container_store.hpp"

namespace mlctr {

/// Before the container's files are touched. Keep it for note_driver_traces().
Fd open_driver_traces(const StoredContainer& container);

/// `made`: empty files and directories that mounts were put on, as paths in the container, each behind the one it is in.
void note_driver_traces(const Fd& file, const std::vector<std::string>& made, const squashfs::Reader& image);

/// Of a container that does not run; nothing where there are none. `container`: its directory in the store. Keeps what
/// somebody has written to since. Throws nothing: what can't be cleaned stays for the next time.
void remove_driver_traces(const std::filesystem::path& container) noexcept;

/// Of one that may run: what an image made of it meanwhile is to have in their place.
squashfs::UpperMask mask_driver_traces(const StoredContainer& container);

}  // namespace mlctr
