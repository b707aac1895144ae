#include "app/commit_container.hpp"

#include <fmt/format.h>

#include <ctime>

#include "app/find_image.hpp"
#include "app/run_target.hpp"
#include "app/squashfs_identity.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/unnamed_file.hpp"
#include "image/reference.hpp"
#include "store/store.hpp"

namespace mlctr {
namespace {

ImageReference parse_new_name(const std::string& text) {
  const ImageSource source = parse_image_source(text);
  const auto* reference = std::get_if<ImageReference>(&source);
  if (reference != nullptr && !reference->digest) return *reference;
  if (reference != nullptr) {
    throw UsageError(fmt::format("{} has a digest, which is not for us to choose", printable(text)),
                     "leave out what follows the '@'");
  }
  throw UsageError(fmt::format("{} is no name for an image in the store", printable(text)),
                   "name it like docker does (py38:mine); `mlctr save` writes files");
}

}  // namespace

CommittedImage commit_container(const Configuration& configuration, const CommitRequest& request, ProgressBoard& board,
                                std::stop_token stop) {
  const ImageReference reference = parse_new_name(request.reference);
  const StoredContainer container = require_container(configuration, request.container);
  Store store(configuration.store, Store::Access::read_write);
  UnnamedFile file(store.root() / "tmp");
  write_container_image(configuration, container, request.running, file.fd(), board, stop);
  const std::uint64_t bytes = file_size(file.fd(), "the image");

  const auto progress = board.add("digest", bytes, ProgressKind::image);
  const SquashfsIdentity identity = identify_squashfs(file.fd(), "the saved image", Platform::host(), *progress, stop);
  const Lock lock = store.lock_image(identity.digest, stop, {});
  // Where only the path of such a file was recorded, the image takes its place: it goes nowhere.
  const auto known = store.find_image(identity.digest);
  const bool is_stored = known && !std::filesystem::is_symlink(known->squashfs);
  if (known && !is_stored) store.remove_image(identity.digest);
  if (!is_stored) {
    Store::NewImage image = store.new_image(identity.digest);
    image.take(file);
    image.commit(identity.manifest_body, identity.config_body);
  }
  store.set_reference({reference_key(ImageSource(reference)), identity.digest, std::time(nullptr)});
  return {.reference = reference.familiar(), .digest = identity.digest, .bytes = bytes};
}

}  // namespace mlctr
