// Which of a host's GPUs a request means.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "hooks/gpu_request.hpp"
#include "hooks/nvidia_gpus.hpp"
#include "runtime/environment.hpp"

namespace mlctr::hooks {

struct SelectedGpu {
  NvidiaGpu gpu;
  std::vector<MigDevice> mig;  ///< its slices that are to be seen; empty: all of it
};

struct GpuChoice {
  std::vector<NvidiaGpu> usable;                 ///< by this process, in NVML's order
  std::optional<std::vector<unsigned>> of_step;  ///< minors that the Slurm step was given
  std::string visible;                           ///< the job's CUDA_VISIBLE_DEVICES, which a count begins with
  /// UUIDs that the kernel module does not tell (MIG, a GPU never used): fills them in. Called when wanted.
  std::function<void(std::vector<NvidiaGpu>&)> ask_nvml;
};

/// In the order of their indices. Throws Error that names the unknown one and lists the known, or says that the step
/// was not given it.
std::vector<SelectedGpu> select_gpus(const GpuRequest& request, GpuChoice choice);

}  // namespace mlctr::hooks
