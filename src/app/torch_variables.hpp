// What torch.distributed's env:// reads, for a task of a Slurm step. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlctr {

/// Says when a task gets them: "always" (the default), "never", or "image": only in images that have PYTORCH_VERSION,
/// as NVIDIA's and PyTorch's do (enroot's rule). In the task's environment.
inline constexpr std::string_view k_torch_choice = "MLCTR_SLURM_PYTORCH";

/// The ports that a kernel gives to outgoing connections (ip_local_port_range in ip(7)).
struct OutgoingPorts {
  unsigned first = 32'768, last = 60'999;
};

/// Of this machine; the kernel's default where it does not say.
OutgoingPorts outgoing_ports();

/// "NAME=VALUE" each, of this task, where its step has several: MASTER_ADDR, MASTER_PORT (of the step's id, outside of
/// `outgoing`, which is to be the same on all nodes), WORLD_SIZE, RANK, LOCAL_RANK; in PyTorch's images OMP_NUM_THREADS
/// where the node has several tasks. What `environment` (the task's) or the image sets, even to nothing, is left alone.
/// Throws UsageError for a choice that there is not.
std::vector<std::string> torch_variables(const std::vector<std::string>& environment,
                                         const std::vector<std::string>& image_environment, OutgoingPorts outgoing);

}  // namespace mlctr
