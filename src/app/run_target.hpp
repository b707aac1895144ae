// What `mlctr run` is to run: an existing container by its name, else an existing squashfs file, else an image of the
// stores.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "app/configuration.hpp"
#include "app/open_stores.hpp"
#include "store/container_store.hpp"

namespace mlctr {

/// An image to start from.
struct BaseImage {
  std::string reference;        ///< canonical, or the path of a file
  std::string manifest_digest;  ///< empty for a lone file
  std::filesystem::path squashfs;
  std::string config_body;  ///< OCI image config; empty where the image has none
};

using RunTarget = std::variant<StoredContainer, BaseImage>;

/// Absent where there is neither: it would have to be pulled. Throws Error where `text` is nothing that could be.
std::optional<RunTarget> find_run_target(const Configuration& configuration, std::string_view text);

/// The image, by reference or file; never a container.
std::optional<BaseImage> find_base_image(const Configuration& configuration, std::string_view text);

/// A container's image as it was when the container was made; found anew where its file went (an image on another
/// filesystem that was pulled again since).
BaseImage base_image_of(const Configuration& configuration, const StoredContainer& container);

/// Throws Error "no such container" with the nearest names.
StoredContainer require_container(const Configuration& configuration, std::string_view name);

}  // namespace mlctr
