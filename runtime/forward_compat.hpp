// CUDA's forward compatibility: images carry a libcuda newer than the host's, for some older drivers.
#pragma once

#include <string_view>
#include <vector>

#include "runtime/loader_library.hpp"
#include "runtime/rootfs.hpp"

namespace mlctr::runtime {

/// The image's libraries of /usr/local/cuda/compat, where they fit the host's driver: to go before the host's. Nothing
/// of them is mounted: only the loader is told.
std::vector<LoaderLibrary> find_forward_compat(const ForwardCompat& host, const Rootfs& rootfs);

/// Whether a libcuda of `major` fits a driver of `host_major`: by the note in it, JSON that lists drivers; without one
/// where it is newer.
bool fits_driver(unsigned major, std::string_view note, unsigned host_major);

}  // namespace mlctr::runtime
