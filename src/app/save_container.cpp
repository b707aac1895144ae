#include "app/save_container.hpp"

#include <fmt/format.h>

#include "app/run_target.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/path.hpp"

namespace mlctr {
namespace {

std::string full_disk_hint(const std::filesystem::path& directory, const StoredContainer& container) {
  return fmt::format("{} has {} MiB left, and the image takes {} MiB and what the container's changes come to",
                     directory.string(), free_bytes(directory) >> 20,
                     std::filesystem::file_size(container.squashfs) >> 20);
}

void write_to(const std::filesystem::path& directory, int output, const Configuration& configuration,
              const StoredContainer& container, RunningContainers running, ProgressBoard& board,
              std::stop_token stop) try {
  write_container_image(configuration, container, running, output, board, std::move(stop));
} catch (SysError& error) {
  if (is_disk_full(error.errno_value())) error.replace_hint(full_disk_hint(directory, container));
  throw;
}

}  // namespace

std::uint64_t save_container(const Configuration& configuration, const SaveRequest& request, ProgressBoard& board,
                             std::stop_token stop) {
  const StoredContainer container = require_container(configuration, request.container);
  DestinationFile file(request.destination, request.overwrite);
  const auto directory = absolute_path(request.destination).parent_path();
  write_to(directory, file.fd(), configuration, container, request.running, board, std::move(stop));
  file.commit();
  return file_size(file.fd(), request.destination.string());
}

UnnamedFile save_unnamed(const Configuration& configuration, const std::string& container, RunningContainers running,
                         ProgressBoard& board, std::stop_token stop) {
  const StoredContainer stored = require_container(configuration, container);
  // Beside the container: there is room for its changes, while a pipe's reader may be on another machine.
  const std::filesystem::path directory = stored.upper.parent_path();
  UnnamedFile file(directory);
  write_to(directory, file.fd(), configuration, stored, running, board, std::move(stop));
  return file;
}

}  // namespace mlctr
