// Makes the container's dynamic loader find a driver's libraries: they go first into its ld.so.cache. Where the rootfs
// can be written to, the file is replaced, and a file of ld.so.conf.d keeps a later ldconfig to it; what stood there
// before is kept in the new one, for without_driver() to give back. Elsewhere a file is mounted over it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/container_edits.hpp"
#include "runtime/environment.hpp"
#include "runtime/rootfs.hpp"

namespace mlctr::runtime {

inline constexpr const char* k_ld_cache = "/etc/ld.so.cache";
inline constexpr const char* k_driver_conf = "/etc/ld.so.conf.d/00-mlctr-driver.conf";

/// replace: the rootfs can be written to, so that ldconfig (apt, dpkg) can be run; cover: it can't.
enum class CacheChange { replace, cover };
/// Whether the file that was there is the container's own change, or the image's.
enum class CacheOwner { image, container };

struct LoaderPlace {
  CacheChange change = CacheChange::replace;
  CacheOwner owner = CacheOwner::image;
  int scratch = -1;  ///< as apply_mounts() has it
};

/// What becomes of the environment: LD_LIBRARY_PATH, where there is no other way (musl). `tell` takes a line for the
/// user.
std::vector<EnvironmentEdit> show_to_loader(const LoaderEdits& edits, Rootfs& rootfs, const LoaderPlace& place,
                                            const Environment& environment,
                                            const std::function<void(const std::string&)>& tell);

/// A cache of show_to_loader()'s as it was before.
struct FormerCache {
  CacheOwner owner;
  std::string bytes;  ///< empty: there was none
};

/// Absent where `cache` has nothing of a driver. A cache that ldconfig wrote meanwhile is given back without the
/// driver's entries, as the container's.
std::optional<FormerCache> without_driver(std::string_view cache);

}  // namespace mlctr::runtime
