#include "store/store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/path.hpp"
#include "store/allocation.hpp"
#include "store/layer_companions.hpp"
#include "store/sharing.hpp"
#include "store/store_names.hpp"
#include "store/store_root.hpp"

namespace mlctr {
namespace {

constexpr std::string_view k_layer_extension = ".sqsh";

// Digests by the names in DIRECTORY/<algorithm>/; other names are no business of ours.
std::vector<Digest> list_digests(const std::filesystem::path& directory, std::string_view extension) {
  std::vector<Digest> digests;
  for (const char* algorithm : {"sha256", "sha512"}) {
    for (const std::string& name : list_directory(directory / algorithm)) {
      if (!name.ends_with(extension)) continue;
      const std::string_view hex = std::string_view(name).substr(0, name.size() - extension.size());
      if (const auto digest = parse_digest_name(fmt::format("{}-{}", algorithm, hex))) digests.push_back(*digest);
    }
  }
  std::sort(digests.begin(), digests.end());
  return digests;
}

std::optional<struct stat> status_of(const std::filesystem::path& path) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) == 0) return status;
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw SysError("cannot stat " + path.string());
}

// For half a minute NFS answers from memory that something is not there, whoever made it meanwhile; to open the
// directory is to ask the server (nfs(5), acdirmin and close-to-open).
void look_afresh(const std::filesystem::path& directory) {
  const Fd asked(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

}  // namespace

Store::Store(std::filesystem::path root, Access access) : root_(std::move(root)) {
  if (root_.empty())
    throw UsageError("no store: there is no home directory", "set MLCTR_STORE to a directory of your own");
  root_ = absolute_path(root_);
  if (access == Access::read_only && !std::filesystem::exists(root_)) return;
  if (access == Access::read_write) create_store_root(root_);
  check_store_is_private(root_);
  if (access == Access::read_only) return;
  check_store_is_writable(root_);
  for (const char* name : {"layers", "images", "references", "locks", "tmp"}) make_store_directory(root_ / name);
  for (const char* name : {"layers/sha256", "images/sha256"}) make_store_directory(root_ / name);
}

std::filesystem::path Store::layer_path(const Digest& diff_id) const {
  return root_ / "layers" / diff_id.algorithm_name() / (diff_id.hex() + std::string(k_layer_extension));
}

bool Store::has_layer(const Digest& diff_id) const {
  const auto status = status_of(layer_path(diff_id));
  return status && S_ISREG(status->st_mode);
}

bool Store::touch_layer(const Digest& diff_id) {
  const std::filesystem::path path = layer_path(diff_id);
  if (::utimensat(AT_FDCWD, path.c_str(), nullptr, AT_SYMLINK_NOFOLLOW) == 0) return true;
  if (errno == ENOENT) return false;
  // A colleague's layer in a shared store: its age is then only a little wrong.
  if (errno == EACCES || errno == EPERM || errno == EROFS) return has_layer(diff_id);
  throw SysError("cannot mark " + path.string() + " as used");
}

Lock Store::lock_layer(const Digest& diff_id, std::stop_token stop,
                       const std::function<void(const LockOwner&)>& on_wait) {
  Lock lock = Lock::acquire(root_ / "locks" / ("layer-" + digest_name(diff_id)), std::move(stop), on_wait);
  look_afresh(layer_path(diff_id).parent_path());
  return lock;
}

std::optional<Lock> Store::try_lock_layer(const Digest& diff_id) {
  auto lock = Lock::try_acquire(root_ / "locks" / ("layer-" + digest_name(diff_id)));
  look_afresh(layer_path(diff_id).parent_path());
  return lock;
}

TemporaryFile Store::new_layer_file(const Digest& diff_id) {
  make_store_directory(layer_path(diff_id).parent_path());
  const std::string prefix = "layer-" + digest_name(diff_id) + "-";
  for (const std::string& name : list_directory(root_ / "tmp")) {
    if (name.starts_with(prefix)) ::unlink((root_ / "tmp" / name).c_str());
  }
  TemporaryFile file(root_ / "tmp" / (prefix + random_suffix() + std::string(k_layer_extension)));
  share_with_group(file.fd(), root_ / "tmp");
  return file;
}

std::filesystem::path Store::partial_blob_path(const Digest& blob_digest, const Digest& diff_id) const {
  // 32 digits name a blob well enough beside its layer, and a file name has room for 255 bytes: what was read is
  // verified.
  return root_ / "tmp" / fmt::format("{}-{}.blob", digest_name(diff_id), blob_digest.hex().substr(0, 32));
}

std::vector<StoredLayer> Store::layers() const {
  std::vector<StoredLayer> layers;
  for (const Digest& diff_id : list_digests(root_ / "layers", k_layer_extension)) {
    const auto status = status_of(layer_path(diff_id));
    if (!status || !S_ISREG(status->st_mode)) continue;
    const std::uint64_t companions = companion_bytes(layer_path(diff_id));
    layers.push_back(
        {diff_id, allocated_bytes(*status) + companions, modification_time(*status), status->st_nlink > 1});
  }
  std::stable_sort(layers.begin(), layers.end(),
                   [](const StoredLayer& a, const StoredLayer& b) { return a.last_used < b.last_used; });
  return layers;
}

std::filesystem::path Store::image_directory(const Digest& manifest_digest) const {
  return root_ / "images" / manifest_digest.algorithm_name() / manifest_digest.hex();
}

std::optional<StoredImage> Store::find_image(const Digest& manifest_digest) const {
  const std::filesystem::path directory = image_directory(manifest_digest);
  if (!is_whole_image(directory)) return std::nullopt;
  return StoredImage{manifest_digest, directory / "image.sqsh", directory / "manifest.json", directory / "config.json"};
}

std::optional<RecordedFile> Store::recorded_file(const Digest& manifest_digest) const {
  return read_recorded_file(image_directory(manifest_digest) / "image.sqsh");
}

Lock Store::lock_image(const Digest& manifest_digest, std::stop_token stop,
                       const std::function<void(const LockOwner&)>& on_wait) {
  Lock lock = Lock::acquire(root_ / "locks" / ("image-" + digest_name(manifest_digest)), std::move(stop), on_wait);
  look_afresh(image_directory(manifest_digest).parent_path());
  return lock;
}

std::optional<Lock> Store::try_lock_image(const Digest& manifest_digest) {
  auto lock = Lock::try_acquire(root_ / "locks" / ("image-" + digest_name(manifest_digest)));
  look_afresh(image_directory(manifest_digest).parent_path());
  return lock;
}

Store::NewImage Store::new_image(const Digest& manifest_digest) {
  const std::filesystem::path final_directory = image_directory(manifest_digest);
  make_store_directory(final_directory.parent_path());
  return {root_ / "tmp" / ("image-" + digest_name(manifest_digest) + "-" + random_suffix()), final_directory};
}

std::vector<StoredImage> Store::images() const {
  std::vector<StoredImage> images;
  for (const Digest& digest : list_digests(root_ / "images", "")) {
    const std::filesystem::path directory = image_directory(digest);
    images.push_back({digest, directory / "image.sqsh", directory / "manifest.json", directory / "config.json"});
  }
  return images;
}

}  // namespace mlctr
