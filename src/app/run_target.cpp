#include "app/run_target.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>

#include "app/enroot_image.hpp"
#include "app/find_image.hpp"
#include "app/open_image.hpp"
#include "app/settings.hpp"
#include "app/source_file.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/path.hpp"
#include "base/printable.hpp"
#include "image/config.hpp"
#include "squashfs/file_content.hpp"

namespace mlctr {
namespace {

// Of a SIF file nothing more is taken: its environment is shell scripts, and no program of an image runs out here.
std::string config_in(const squashfs::Reader& image) {
  if (auto config = squashfs::read_small_file(image, "/.mlctr/config.json", k_max_config_bytes)) return *config;
  return enroot_config(image);
}

BaseImage image_in_file(const std::filesystem::path& path) {
  const OpenImage image(path);
  const auto absolute = absolute_path(path).lexically_normal();
  return {.reference = absolute.string(),
          .manifest_digest = {},
          .squashfs = absolute,
          .config_body = config_in(*image.reader)};
}

std::string config_of(const StoredContainer& container) {
  try {
    return read_file(container.config, k_max_config_bytes);
  } catch (const SysError& error) {
    if (error.errno_value() != ENOENT || std::filesystem::exists(container.upper)) throw;
    throw Error(fmt::format("the container {} was removed just now", container.record.name));
  }
}

// The store's images never change, other files can: the container has a link to one, not a copy.
void check_unchanged(const StoredContainer& container) {
  const std::int64_t known = container.record.file_changed_at;
  if (known == 0 || file_changed_at(container.squashfs) == known) return;
  throw Error(
      fmt::format("{} has changed since the container {} was made from it", printable(container.record.image, 4096),
                  container.record.name),
      fmt::format("`mlctr rm {}` removes the container and all that it has changed; the file as it was, with its "
                  "time, would make it run again",
                  container.record.name));
}

}  // namespace

std::optional<BaseImage> find_base_image(const Configuration& configuration, std::string_view text) {
  const SourceFile kind = look_at(text);
  if (kind == SourceFile::squashfs || kind == SourceFile::sif) return image_in_file(text);
  const auto found = find_image(configuration, text);
  if (!found) {
    if (!parse_image_id(text)) check_source(find_source(text));  // says what to type for an archive
    return std::nullopt;
  }
  return BaseImage{.reference = found->record ? found->record->reference : std::string(text),
                   .manifest_digest = found->image.manifest_digest.to_string(),
                   .squashfs = found->image.squashfs,
                   .config_body = read_file(found->image.config, k_max_config_bytes)};
}

std::optional<RunTarget> find_run_target(const Configuration& configuration, std::string_view text) {
  if (auto container = open_containers(configuration).find(text)) return std::move(*container);
  if (auto image = find_base_image(configuration, text)) return std::move(*image);
  return std::nullopt;
}

BaseImage base_image_of(const Configuration& configuration, const StoredContainer& container) {
  const ContainerRecord& record = container.record;
  BaseImage image{.reference = record.image,
                  .manifest_digest = record.manifest_digest,
                  .squashfs = container.squashfs,
                  .config_body = config_of(container)};
  if (std::filesystem::exists(image.squashfs)) {
    check_unchanged(container);
    return image;
  }
  const auto found = record.manifest_digest.empty() ? std::nullopt : find_image(configuration, record.manifest_digest);
  if (!found) {
    throw Error(
        fmt::format("the image of the container {} is gone: {}", record.name, printable(record.image, 4096)),
        fmt::format("`mlctr pull {}` brings it back if it has not changed since", printable(record.image, 4096)));
  }
  image.squashfs = found->image.squashfs;
  return image;
}

StoredContainer require_container(const Configuration& configuration, std::string_view name) {
  const ContainerStore containers = open_containers(configuration);
  if (auto container = containers.find(name)) return std::move(*container);
  std::vector<std::string> names;
  for (const StoredContainer& other : containers.list().containers) names.push_back(other.record.name);
  if (!name.empty() && name.find_first_not_of("0123456789") == name.npos) {
    throw Error(fmt::format("no container has the name {}", name),
                "an unnamed container goes with its programs: `mlctr ps` shows their process ids, kill ends them");
  }
  const std::string meant = nearest_name(name, names);
  throw Error(fmt::format("no such container: {}", printable(name)),
              meant.empty() ? "`mlctr ps --all` lists those there are; `mlctr create --name NAME IMAGE` makes one"
                            : fmt::format("did you mean {}?", meant));
}

}  // namespace mlctr
