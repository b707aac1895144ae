// The hooks that nvidia-ctk writes into CDI files, as values: mlctr does itself what they say, so that none of them
// runs. Source: nvidia-container-toolkit 1.20, cmd/nvidia-cdi-hook (their options).
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "hooks/cdi_spec.hpp"

namespace mlctr::hooks {

/// --link TARGET::LINK
struct CreateSymlinks {
  struct Link {
    std::string target, path;
  };
  std::vector<Link> links;
};
/// --folder DIRECTORY: what is mounted there becomes known to the loader.
struct UpdateLoaderCache {
  std::vector<std::string> folders;
};
/// Puts the image's CUDA forward compatibility libraries first, where they fit the driver.
struct EnableCudaCompat {};
/// Of directories that runtimes made for nodes: ours have 0755.
struct ChangeModes {};
/// ModifyDeviceFiles in /proc/driver/nvidia/params becomes 0.
struct DisableNodeModification {};
/// EGL sees the GPUs of the container alone.
struct UpdateApplicationProfile {};
struct UnknownNvidiaHook {
  std::string name;
};

using NvidiaCdiHook = std::variant<CreateSymlinks, UpdateLoaderCache, EnableCudaCompat, ChangeModes,
                                   DisableNodeModification, UpdateApplicationProfile, UnknownNvidiaHook>;

/// Absent where the hook is no program of NVIDIA's toolkit. Throws DocumentError where its arguments make no sense.
std::optional<NvidiaCdiHook> parse_nvidia_cdi_hook(const CdiHook& hook);

}  // namespace mlctr::hooks
