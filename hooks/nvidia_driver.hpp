// Where the host's NVIDIA driver is: its version, its libraries and programs, in whatever layout a distribution, an
// installer or a driver container has put them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "hooks/driver_version.hpp"
#include "hooks/host_view.hpp"
#include "hooks/nvidia_capabilities.hpp"
#include "hooks/request.hpp"
#include "runtime/loader_library.hpp"

namespace mlctr::hooks {

struct DriverLibrary {
  std::filesystem::path source;     ///< on the host
  std::string name;                 ///< "libcuda.so.580.159.04"
  std::string subdirectory;         ///< "vdpau"; mostly empty
  std::filesystem::path directory;  ///< where it was found, as the driver's root has it
  std::string soname;               ///< of the file itself; empty where it has none
  runtime::LoaderArchitecture architecture = runtime::LoaderArchitecture::x86_64;
  NvidiaCapabilities wanted_by = k_no_capability;
};

struct DriverProgram {
  std::filesystem::path source;
  std::string name;
};

struct NvidiaDriver {
  DriverVersion version;
  HostView root;  ///< what its paths are below
  std::vector<DriverLibrary> libraries;
  std::vector<std::string> warnings;
};

/// Absent where the host has none: no kernel module and no libcuda. Libraries of another architecture than this one's
/// and i386 are left out.
std::optional<NvidiaDriver> find_nvidia_driver(const HostView& host, const HookSettings& settings);

/// Of the kernel module, else of the libraries; absent without a driver.
std::optional<DriverVersion> find_nvidia_version(const HostView& host);

/// Those that the capabilities want, in the order of the table. `path`: the user's PATH.
std::vector<DriverProgram> find_nvidia_programs(const NvidiaDriver& driver, const HookSettings& settings,
                                                std::string_view path, NvidiaCapabilities capabilities);

}  // namespace mlctr::hooks
