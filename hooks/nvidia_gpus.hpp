// The NVIDIA GPUs of a host as its kernel module tells of them, without NVML.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "hooks/host_view.hpp"

namespace mlctr::hooks {

/// A slice of a GPU (MIG): a compute instance of a GPU instance.
struct MigDevice {
  unsigned gpu_instance = 0, compute_instance = 0;
  std::string uuid;  ///< "MIG-…"; empty until NVML is asked
};

struct NvidiaGpu {
  std::string bus;     ///< "0000:1b:00.0", as the directory in /proc is called
  std::string uuid;    ///< "GPU-…"; with '?' in it before the GPU's first use
  std::string model;   ///< "NVIDIA H100 80GB HBM3"
  unsigned minor = 0;  ///< of /dev/nvidiaN; not its index
  unsigned index = 0;  ///< NVML's and CUDA's: in the order of the bus, of those this process may use
  std::vector<MigDevice> mig;
};

/// All, in the order of their bus ids; without those the admin excluded. Each has its place among all as `index`.
std::vector<NvidiaGpu> list_nvidia_gpus(const HostView& host);

/// Those of them whose node may be opened (a job's device cgroup), numbered anew, as NVML numbers them there.
std::vector<NvidiaGpu> usable_gpus(const HostView& devices, std::vector<NvidiaGpu> gpus);

/// "/dev/nvidia-caps/nvidia-cap30" for "gpu0/gi1/access" of /proc/driver/nvidia-caps/mig-minors; absent where the file
/// does not have it.
std::optional<std::string> mig_capability_node(const HostView& host, std::string_view access);

/// "0000:1b:00.0" for "00000000:1B:00.0", "1b:00.0" and their like; empty where `text` is no PCI id.
std::string normal_bus_id(std::string_view text);

}  // namespace mlctr::hooks
