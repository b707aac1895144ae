// Which GPUs are asked for, in docker's words (--gpus) or NVIDIA's (NVIDIA_VISIBLE_DEVICES).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/request.hpp"

namespace mlctr::hooks {

/// Who asked: only what the user asks for must be there.
enum class Asker { user, image };

struct GpuRequest {
  enum class Which {
    nothing,  ///< no driver either ("void")
    none,     ///< the driver, but no GPU
    all,
    count,  ///< the first `count`
    named,  ///< `names`: index, UUID, PCI id, MIG UUID, "i:j"
  };
  Which which = Which::nothing;
  unsigned count = 0;
  std::vector<std::string> names;
  std::string capabilities;  ///< as NVIDIA_DRIVER_CAPABILITIES has them; empty: the default
  Asker asker = Asker::user;
  std::string origin;  ///< "--gpus all", "NVIDIA_VISIBLE_DEVICES=all (image)": for messages
};

/// --gpus: "all", "none", "2" (a count), "0,1", "device=0,1", "\"device=0,1\",capabilities=utility", as docker has
/// them. Throws UsageError.
GpuRequest parse_gpus_option(std::string_view text);

/// Of --gpus alone, without a look at any host: CDI names of other vendors are taken too. Throws UsageError.
void check_gpus_option(std::string_view text);

/// The value of NVIDIA_VISIBLE_DEVICES. Throws Error.
GpuRequest parse_visible_devices(std::string_view text);

/// --gpus, else --device nvidia.com/gpu=…, else NVIDIA_VISIBLE_DEVICES, else what the Slurm step was given, else what
/// an image of before that variable means (CUDA_VERSION); with the capabilities that go with it.
GpuRequest gpu_request(const HookRequest& request);

}  // namespace mlctr::hooks
