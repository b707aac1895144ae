// The use case `mlctr save`: a container, what was installed in it included, as one squashfs file to carry anywhere.
#pragma once

#include <cstdint>
#include <filesystem>
#include <stop_token>
#include <string>

#include "app/container_image.hpp"
#include "app/destination_file.hpp"

namespace mlctr {

struct SaveRequest {
  std::string container;
  std::filesystem::path destination;
  Overwrite overwrite = Overwrite::refuse;
  RunningContainers running = RunningContainers::refuse;
};

/// Returns the file's length. The file appears whole or not at all; nothing is left of one that was killed.
std::uint64_t save_container(const Configuration& configuration, const SaveRequest& request, ProgressBoard& board,
                             std::stop_token stop);

/// The same as a file without a name, for who has no use for one.
UnnamedFile save_unnamed(const Configuration& configuration, const std::string& container, RunningContainers running,
                         ProgressBoard& board, std::stop_token stop);

}  // namespace mlctr
