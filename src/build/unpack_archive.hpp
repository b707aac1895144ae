// ADD of a local archive: a tar, plain or compressed with gzip or zstd, unpacked into a step's rootfs.
#pragma once

#include <string>

#include "base/fd.hpp"
#include "build/copy_job.hpp"
#include "runtime/rootfs.hpp"

namespace mlctr::build {

/// To be called before the process enters a rootfs: later the libraries that read archives would be that rootfs's.
void load_archive_libraries();

/// Whether an open file is one: told by its bytes, not by its name.
bool is_archive(const Fd& file);

/// Unpacks it into `directory` of `rootfs`, over what is there: nothing of it can lead out. `owners` gets those of what
/// was unpacked, as the archive has them. Throws Error.
void unpack_archive(const Fd& file, const std::string& name, const runtime::Rootfs& rootfs,
                    const std::string& directory, FileOwners& owners);

}  // namespace mlctr::build
