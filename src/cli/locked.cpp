#include "cli/locked.hpp"

#include <fmt/format.h>

#include "app/image_files.hpp"
#include "app/lock_images.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

// A pinned reference ("@mlctr.lock" became one) is its own check: only those bytes have that digest.
bool is_pinned(const std::string& reference) {
  return reference.find("@sha256:") != std::string::npos;
}

}  // namespace

void check_registry_locked(const Configuration& configuration, const std::string& reference, const Platform& platform,
                           std::stop_token stop) {
  if (is_pinned(reference)) return;
  const LockFile lock = read_lock_file(k_lock_file_name);
  const LockedImage& image = locked_image(lock, reference, platform);
  ProgressBoard board;
  check_not_moved(lock, image, digest_now(reference, configuration, board, std::move(stop)));
}

void check_image_locked(const std::string& reference, const Platform& platform, const Digest& now,
                        const std::filesystem::path& squashfs) {
  if (is_pinned(reference)) return;
  const LockFile lock = read_lock_file(k_lock_file_name);
  const LockedImage& image = locked_image(lock, reference, platform);
  if (now != image.manifest) check_same_image(lock, image, now, ImageFiles(squashfs).packages().packages);
}

void check_before_run(const Configuration& configuration, const std::string& text) {
  if (find_run_target(configuration, text)) return;
  run_stoppable([&](std::stop_token stop) { check_registry_locked(configuration, text, Platform::host(), stop); }, "");
}

void check_target_locked(const std::string& text, const RunTarget& target) {
  const auto check = [](const std::string& reference, const std::string& digest,
                        const std::filesystem::path& squashfs) {
    if (digest.empty()) {
      throw Error(fmt::format("--locked: {} is a file, which no lock knows", printable(reference, 4096)),
                  "lock and run the reference of an image in a registry");
    }
    check_image_locked(reference, Platform::host(), Digest::parse(digest), squashfs);
  };
  if (const auto* image = std::get_if<BaseImage>(&target)) return check(text, image->manifest_digest, image->squashfs);
  const auto& container = std::get<StoredContainer>(target);
  check(container.record.image, container.record.manifest_digest, container.squashfs);
}

}  // namespace mlctr::cli
