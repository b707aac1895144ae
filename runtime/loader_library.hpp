// A library that the container's dynamic loader is to find first, whatever the image says.
#pragma once

#include <cstdint>
#include <string>

namespace mlctr::runtime {

/// The flags word of ld.so.cache (ld.so's dl-cache.h): 3 for glibc's ELF, the architecture above it.
enum class LoaderArchitecture : std::int32_t { i386 = 0x0003, x86_64 = 0x0303, aarch64 = 0x0a03 };

struct LoaderLibrary {
  std::string soname;  ///< "libcuda.so.1"
  std::string path;    ///< in the container, absolute
  LoaderArchitecture architecture = LoaderArchitecture::x86_64;
  std::string origin{};
};

/// CUDA's forward compatibility: an image's newer libcuda may go before the host's (runtime/forward_compat.hpp).
struct ForwardCompat {
  enum class When { automatic, always } when = When::automatic;
  unsigned driver_major = 0;     ///< of the host
  std::string driver_version{};  ///< "535.104.05"
  std::string origin{};
};

}  // namespace mlctr::runtime
