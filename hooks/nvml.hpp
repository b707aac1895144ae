// NVIDIA's management library, asked what the kernel module does not tell. It is the host's code and may hang or crash:
// it runs in a child, with an empty environment and for a few seconds at most.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "hooks/nvidia_gpus.hpp"

namespace mlctr::hooks {

struct NvmlGpu {
  std::string uuid;
  unsigned minor = 0;
  std::string architecture;  ///< "9.0"
  std::string brand;         ///< "tesla"
  std::vector<MigDevice> mig;
};

struct NvmlAnswer {
  std::string cuda;  ///< of the driver: "12.2"
  std::vector<NvmlGpu> gpus;
};

/// `library`: the resolved path of libnvidia-ml.so.1. Absent where it does not answer. Single-threaded processes only.
std::optional<NvmlAnswer> ask_nvml(const std::filesystem::path& library);

}  // namespace mlctr::hooks
