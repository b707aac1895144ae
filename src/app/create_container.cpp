#include "app/create_container.hpp"

#include <fmt/format.h>

#include <ctime>

#include "app/container_nodes.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

constexpr const char* k_full_disk_hint =
    "remove some containers there (mlctr rm), or set MLCTR_CONTAINERS to a directory with more room";

std::optional<StoredContainer> try_create(const Configuration& configuration, const BaseImage& image,
                                          const std::string& name, const std::string& job) try {
  const ContainerRecord record{.name = name,
                               .image = image.reference,
                               .manifest_digest = image.manifest_digest,
                               .created_at = std::time(nullptr),
                               .file_changed_at = image.manifest_digest.empty() ? file_changed_at(image.squashfs) : 0,
                               .job = job};
  auto made = open_containers(configuration).create(record, image.squashfs, image.config_body);
  if (made) record_container_here(configuration, name);
  return made;
} catch (SysError& error) {
  error.add_context(fmt::format("cannot make the container {}", name));
  if (is_disk_full(error.errno_value())) error.replace_hint(k_full_disk_hint);
  throw;
}

bool is_from(const ContainerRecord& record, const BaseImage& image) {
  return image.manifest_digest.empty() ? record.image == image.reference
                                       : record.manifest_digest == image.manifest_digest;
}

[[noreturn]] void refuse_taken(const std::string& name) {
  throw Error(fmt::format("there is a container {} already", name),
              fmt::format("`mlctr run {0}` uses it, `mlctr rm {0}` removes it", name));
}

}  // namespace

void check_name_is_free(const Configuration& configuration, const std::string& name) {
  check_container_name(name);
  if (open_containers(configuration).has(name)) refuse_taken(name);
}

StoredContainer create_container(const Configuration& configuration, const BaseImage& image, const std::string& name) {
  check_container_name(name);
  if (auto made = try_create(configuration, image, name, "")) return std::move(*made);
  refuse_taken(name);
}

StoredContainer find_or_create_container(const Configuration& configuration, const BaseImage& image,
                                         const std::string& name, const std::string& job) {
  check_container_name(name);
  const ContainerStore containers = open_containers(configuration);
  auto container = containers.find(name);
  if (!container) {
    if (auto made = try_create(configuration, image, name, job)) return std::move(*made);
    container = containers.find(name);  // somebody was faster
  }
  if (container && is_from(container->record, image)) return std::move(*container);
  throw Error(fmt::format("the container {} was made from {}, not from {}", name,
                          printable(container ? container->record.image : "another image", 4096),
                          printable(image.reference, 4096)),
              fmt::format("`mlctr run {0}` uses it as it is; `mlctr rm {0}` makes way for a new one", name));
}

}  // namespace mlctr
