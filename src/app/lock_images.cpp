#include "app/lock_images.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "app/find_image.hpp"
#include "app/image_files.hpp"
#include "app/pull_image.hpp"
#include "app/registry_origin.hpp"
#include "app/resolve_image.hpp"
#include "app/squashfs_identity.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "containerfile/evaluate.hpp"
#include "image/config.hpp"

namespace mlctr {
namespace {

ImageReference registry_reference(const std::string& text) {
  const ImageSource source = parse_image_source(text);
  if (const auto* reference = std::get_if<ImageReference>(&source)) return *reference;
  throw UsageError(fmt::format("{} is in no registry: nothing but its bytes names it", printable(text, 4096)),
                   "lock the reference of an image in a registry");
}

ResolvedManifest ask_registry(const ImageReference& reference, const Platform& platform,
                              const Configuration& configuration, ProgressBoard& board, const std::stop_token& stop) {
  const auto transport = make_curl_transport(transport_settings(configuration), &board);
  return resolve_manifest(*make_registry_origin(reference, configuration, *transport), platform, stop);
}

Digest digest_of_file(const std::filesystem::path& path, const std::stop_token& stop) {
  const Fd file = open_regular_file(path);
  return hash_squashfs(squashfs::ImageFile(file.get(), path, 0), nullptr, stop);
}

ResolvedManifest ask_to_lock(const ImageReference& reference, const LockedReference& wanted,
                             const Configuration& configuration, ProgressBoard& board,
                             const std::stop_token& stop) try {
  return ask_registry(reference, wanted.platform, configuration, board, stop);
} catch (const Cancelled&) {
  throw;
} catch (Error& error) {
  if (find_image(configuration, wanted.reference)) {
    error.replace_hint(
        fmt::format("one is in the store, but a lock names what others can get as well: where it was made here, "
                    "`mlctr push {}` gives it to them",
                    printable(wanted.reference, 1024)));
  }
  throw;
}

LockedImage lock_image(const LockedReference& wanted, const Configuration& configuration, ProgressBoard& board,
                       const std::stop_token& stop) {
  ImageReference reference = registry_reference(wanted.reference);
  const ResolvedManifest answer = ask_to_lock(reference, wanted, configuration, board, stop);
  reference.digest = answer.digest;  // whatever becomes of the tag meanwhile
  const PullRequest request{.source = reference, .platform = wanted.platform, .policy = PullPolicy::missing};
  const PullResult pulled = pull_image(request, configuration, board, stop);
  const FoundImage found = require_image(configuration, answer.digest.to_string());
  const ImageFiles files(pulled.squashfs);
  packages::PackageList packages = files.packages();
  for (const std::string& path : packages.unread) {
    board.note(fmt::format("{}: {} is not read, its packages are not in the lock", printable(wanted.reference, 1024),
                           printable(path, 1024)));
  }
  return {.reference = reference_key(wanted.reference),
          .platform = wanted.platform,
          .index = answer.index,
          .manifest = answer.digest,
          .squashfs = digest_of_file(pulled.squashfs, stop),
          .layers = parse_image_config(read_file(found.image.config, k_max_config_bytes)).diff_ids,
          .packages = std::move(packages.packages)};
}

void add_once(std::vector<LockedReference>& list, LockedReference reference) {
  if (std::find(list.begin(), list.end(), reference) == list.end()) list.push_back(std::move(reference));
}

void add_stage(std::vector<LockedReference>& list, const containerfile::Containerfile& file, std::size_t number,
               containerfile::GlobalVariables& globals, const Platform& platform) {
  const containerfile::Stage& stage = file.stages[number];
  const containerfile::StageBase base = globals.base_of(stage);
  if (base.reference != "scratch" && !containerfile::find_stage(file, base.reference, number)) {
    add_once(list, {base.reference, base.platform.value_or(platform)});
  }
  for (const containerfile::Instruction& instruction : stage.instructions) {
    for (const containerfile::Word& source : containerfile::sources_of(instruction)) {
      const bool is_image = source.text != "scratch" && !containerfile::find_stage(file, source.text, number);
      if (is_image) add_once(list, {source.text, platform});
    }
  }
}

}  // namespace

std::vector<LockedReference> images_of(const LockRequest& request) {
  std::vector<LockedReference> list;
  for (const std::string& reference : request.references) add_once(list, {reference, request.platform});
  if (request.containerfile.empty()) return list;
  const containerfile::Containerfile file = containerfile::parse(
      read_file(request.containerfile, containerfile::k_max_file_bytes), request.containerfile.string());
  containerfile::GlobalVariables globals(file, {request.arguments, Platform::host(), request.platform, {}});
  for (std::size_t i = 0; i < file.stages.size(); ++i) add_stage(list, file, i, globals, request.platform);
  return list;
}

LockFile lock_images(const LockRequest& request, const Configuration& configuration, ProgressBoard& board,
                     std::stop_token stop) {
  LockFile lock;
  for (const LockedReference& reference : images_of(request)) {
    try {
      lock.images.push_back(lock_image(reference, configuration, board, stop));
    } catch (const Cancelled&) {
      throw;
    } catch (Error& error) {
      error.add_context(fmt::format("cannot lock {}", printable(reference.reference, 1024)));
      throw;
    }
  }
  return lock;
}

Digest manifest_on(const ImageReference& reference, const Platform& platform, const Configuration& configuration,
                   ProgressBoard& board, const std::stop_token& stop) {
  return ask_registry(reference, platform, configuration, board, stop).digest;
}

Digest digest_now(const std::string& reference, const Configuration& configuration, ProgressBoard& board,
                  std::stop_token stop) {
  const auto transport = make_curl_transport(transport_settings(configuration), &board);
  const auto origin = make_registry_origin(registry_reference(reference), configuration, *transport);
  return Digest::of(origin->manifest(std::nullopt, std::move(stop)).body);
}

}  // namespace mlctr
