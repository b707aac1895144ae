#include "app/rootfs_fallback.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <thread>

#include "app/overlay_marks.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "runtime/unpack_image.hpp"
#include "store/store_names.hpp"
#include "store/unpacked_store.hpp"

namespace mlctr {
namespace {

using runtime::UnpackedImage;

class Unpacker {
 public:
  Unpacker(std::filesystem::path containers, unsigned threads, std::string digest, const std::vector<OpenImage>& images,
           std::function<void(const std::string&)> tell)
      : store_(containers),
        threads_(threads > 0 ? threads : std::thread::hardware_concurrency()),
        digest_(std::move(digest)),
        images_(images),
        tell_(std::move(tell)) {}

  UnpackedImage shared(std::size_t number) const {
    const auto wait = [&](const LockOwner& owner) {
      tell_(fmt::format("waiting for {} to unpack the image", owner.description()));
    };
    auto made = store_.find_or_make(
        key_of(number), [&](const auto& tree) { fill(tree, number); }, wait);
    return {std::move(made.tree), std::move(made.in_use)};
  }

  UnpackedImage temporary() const {
    auto made = store_.make_own([&](const auto& tree) { fill(tree, 0); });
    return {std::move(made.tree), std::move(made.in_use)};
  }

  UnpackedImage kept(const StoredContainer& container) const {
    if (find_copy(container) == runtime::CopyState::present) return {container.copy, {}};
    refuse_changes_of_overlay(container);
    const UnpackedTree made = store_.make_own([&](const auto& tree) { fill(tree, 0); });
    const Fd directory = open_file(made.tree, O_RDONLY | O_DIRECTORY);
    if (::syncfs(directory.get()) != 0) throw SysError("cannot write " + made.tree.string());
    rename_file(made.tree, container.copy);
    sync_directory(container.copy.parent_path());
    return {container.copy, {}};
  }

  void tell(const std::string& line) const {
    if (tell_) tell_(line);
  }

 private:
  void fill(const std::filesystem::path& tree, std::size_t number) const {
    runtime::unpack_image(*images_[number].reader, open_file(tree, O_RDONLY | O_DIRECTORY), threads_);
  }

  // An image's name says what is in it; of a lone file only the file itself does.
  std::string key_of(std::size_t number) const {
    if (number == 0 && !digest_.empty()) return digest_name(Digest::parse(digest_));
    return unpacked_key_of_file(images_[number].file.get(), images_[number].reader->image().name());
  }

  static void refuse_changes_of_overlay(const StoredContainer& container) {
    if (std::filesystem::is_empty(container.upper)) return;
    throw Error(fmt::format("the container {} has changes that only an overlay can show, and there are none here",
                            container.record.name),
                fmt::format("`mlctr save {} FILE.sqsh` makes an image of it; run.rootfs=copy unpacks that",
                            container.record.name));
  }

  UnpackedStore store_;
  unsigned threads_;
  std::string digest_;
  const std::vector<OpenImage>& images_;
  std::function<void(const std::string&)> tell_;
};

}  // namespace

runtime::RootfsFallback make_rootfs_fallback(const Configuration& configuration, const BaseImage& image,
                                             const StoredContainer* container, const std::vector<OpenImage>& images,
                                             std::function<void(const std::string&)> tell) {
  const auto unpacker = std::make_shared<const Unpacker>(open_containers(configuration).root(), configuration.threads,
                                                         image.manifest_digest, images, std::move(tell));
  return {.unpack = [unpacker](std::size_t number) { return unpacker->shared(number); },
          .copy = [unpacker,
                   container] { return container != nullptr ? unpacker->kept(*container) : unpacker->temporary(); },
          .before_fuse_overlayfs =
              [container] {
                if (container != nullptr) prepare_for_fuse_overlayfs(*container);
              },
          .tell = [unpacker](const std::string& line) { unpacker->tell(line); }};
}

runtime::CopyState find_copy(const StoredContainer& container) {
  return ::access(container.copy.c_str(), F_OK) == 0 ? runtime::CopyState::present : runtime::CopyState::absent;
}

void remove_dead_unpacked(const std::filesystem::path& containers) {
  UnpackedStore(containers).remove_dead();
}

}  // namespace mlctr
