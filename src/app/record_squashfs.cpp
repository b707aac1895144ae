#include "app/record_squashfs.hpp"

#include <fcntl.h>

#include <ctime>

#include "app/find_image.hpp"
#include "app/squashfs_identity.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/path.hpp"
#include "squashfs/extent_copy.hpp"
#include "store/store.hpp"

namespace mlctr {
namespace {

void add_to_store(Store& store, const std::filesystem::path& file, int fd, const SquashfsIdentity& identity,
                  SquashfsCopy copy) {
  Store::NewImage image = store.new_image(identity.digest);
  if (copy == SquashfsCopy::into_store) {
    squashfs::copy_image(squashfs::ImageFile(fd, file, 0), image.fd(), {}, nullptr);
  } else {
    image.record_existing(file);
  }
  image.commit(identity.manifest_body, identity.config_body);
}

}  // namespace

PullResult record_squashfs(const std::filesystem::path& file, const PullRequest& request,
                           const Configuration& configuration, ProgressBoard& board, std::stop_token stop) {
  const std::filesystem::path path = absolute_path(file).lexically_normal();
  const Fd fd = open_regular_file(path);
  const auto progress = board.add(path.filename().string(), file_size(fd.get(), path.string()), ProgressKind::image);
  const SquashfsIdentity identity = identify_squashfs(fd.get(), path, request.platform, *progress, stop);
  const Digest& digest = identity.digest;

  Store store(configuration.store, Store::Access::read_write);
  const Lock lock = store.lock_image(digest, stop, {});
  std::optional<StoredImage> known = store.find_image(digest);
  const bool is_copy_wanted = request.squashfs_copy == SquashfsCopy::into_store;
  if (known && is_copy_wanted && std::filesystem::is_symlink(known->squashfs)) {
    store.remove_image(digest);  // only its path was recorded: the copy takes its place
    known.reset();
  }
  const bool was_present = known.has_value();
  if (!was_present) add_to_store(store, path, fd.get(), identity, request.squashfs_copy);
  store.set_reference({reference_key(path.string()), digest, std::time(nullptr)});

  return {.reference = path.string(),
          .manifest_digest = digest,
          .squashfs = store.find_image(digest)->squashfs,
          .image_bytes = file_size(fd.get(), path.string()),
          .was_present = was_present};
}

}  // namespace mlctr
