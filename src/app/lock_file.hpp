// mlctr.lock: which bytes every reference meant, and the packages in them. TOML, one fact a line, sorted: made to be
// committed and read as a diff.
//
//   version = 1
//   [[image]]
//   reference = "docker.io/library/python:3.8"     canonical
//   platform = "linux/amd64"
//   index = "sha256:…"                              what the registry has under the tag; absent where that is no index
//   manifest = "sha256:…"                           the image's name in the store
//   squashfs = "sha256:…"                           of image.sqsh
//   layers = ["sha256:…"]                           diff_ids, base first
//   packages = [{deb = "libc6", version = "2.36-9", origin = "glibc"}]
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/digest.hpp"
#include "image/platform.hpp"
#include "packages/package.hpp"

namespace mlctr {

inline constexpr const char* k_lock_file_name = "mlctr.lock";

struct LockedImage {
  std::string reference;  ///< canonical: reference_key()
  Platform platform;
  std::optional<Digest> index;
  Digest manifest;
  Digest squashfs;
  std::vector<Digest> layers;
  std::vector<packages::Package> packages;
};

struct LockFile {
  std::filesystem::path path;  ///< for messages
  std::vector<LockedImage> images;
};

std::string to_text(const LockFile& lock);

/// Throws Error with line and column, or the field that is wrong. It comes with other people's code: hostile.
LockFile parse_lock_file(std::string_view text, const std::filesystem::path& path);
/// Throws Error with the hint to make it where there is none.
LockFile read_lock_file(const std::filesystem::path& path);

/// `reference` as the user typed it. Throws Error where the lock has none for the platform.
const LockedImage& locked_image(const LockFile& lock, std::string_view reference, const Platform& platform);

/// What to pull: the reference with the locked manifest's digest. Throws UsageError where the image isn't a registry's.
std::string pinned_reference(const LockedImage& image);

/// Throws Error that says what drifted: `now` is what the registry has under the tag, an index or a manifest.
void check_not_moved(const LockFile& lock, const LockedImage& image, const Digest& now);

/// The same of an image that is here: `now` is its manifest's digest, `packages` what is in it. Names the packages that
/// changed.
void check_same_image(const LockFile& lock, const LockedImage& image, const Digest& now,
                      const std::vector<packages::Package>& packages);

/// "@FILE" becomes the pinned reference of the only image that FILE has; any other text stays as it is.
std::string resolve_lock_target(const std::string& text);

}  // namespace mlctr
