#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "store/allocation.hpp"
#include "store/layer_companions.hpp"
#include "store/remove_tree.hpp"
#include "store/store.hpp"
#include "store/store_names.hpp"

namespace mlctr {
namespace {

// "sha256-<hex>-<16 hex>[.sqsh]": what a digest's name is followed by is only there to make it unique.
std::optional<Digest> leading_digest(std::string_view name) {
  const std::size_t first = name.find('-');
  if (first == std::string_view::npos) return std::nullopt;
  return parse_digest_name(name.substr(0, name.find('-', first + 1)));
}

// "removed-layer-…": gc has taken it out of sight, and may yet put it back while it holds the lock that the name tells.
TemporaryEntry classify(std::string_view name) {
  using Kind = TemporaryEntry::Kind;
  constexpr std::string_view k_aside = "removed-", k_layer = "layer-", k_image = "image-";
  TemporaryEntry entry;
  if (name.starts_with(k_aside)) name.remove_prefix(k_aside.size());
  if (name.starts_with(k_layer)) {
    entry.digest = leading_digest(name.substr(k_layer.size()));
    entry.kind = Kind::layer;
  } else if (name.starts_with(k_image)) {
    entry.digest = leading_digest(name.substr(k_image.size()));
    entry.kind = Kind::image;
  } else if (name.ends_with(".blob")) {
    entry.digest = leading_digest(name);
    entry.kind = Kind::partial_blob;
  }
  if (!entry.digest) entry.kind = Kind::other;
  return entry;
}

std::filesystem::path removal_path(const std::filesystem::path& root, std::string_view kind, const Digest& digest) {
  return root / "tmp" / fmt::format("removed-{}-{}-{}", kind, digest_name(digest), random_suffix());
}

// False where `from` is not there.
bool take_away(const std::filesystem::path& from, const std::filesystem::path& to) {
  if (::rename(from.c_str(), to.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  throw SysError("cannot remove " + from.string());
}

}  // namespace

bool Store::remove_layer(const Digest& diff_id, FileTime seen_last_used) {
  const std::filesystem::path aside = removal_path(root_, "layer", diff_id);
  if (!take_away(layer_path(diff_id), aside)) return false;
  // A pull that marked the layer as used before it went out of sight counts on it; one that comes later finds it
  // missing.
  struct stat status {};
  if (::lstat(aside.c_str(), &status) == 0 && modification_time(status) > seen_last_used) {
    rename_file(aside, layer_path(diff_id));
    return false;
  }
  remove_tree(aside);
  remove_layer_companions(layer_path(diff_id));
  return true;
}

bool Store::remove_image(const Digest& manifest_digest) {
  const std::filesystem::path aside = removal_path(root_, "image", manifest_digest);
  if (!take_away(image_directory(manifest_digest), aside)) return false;
  remove_tree(aside);
  return true;
}

std::vector<TemporaryEntry> Store::temporaries() const {
  std::vector<TemporaryEntry> entries;
  for (const std::string& name : list_directory(root_ / "tmp")) {
    TemporaryEntry entry = classify(name);
    entry.path = root_ / "tmp" / name;
    struct stat status {};
    if (::lstat(entry.path.c_str(), &status) != 0) continue;
    entry.allocated_bytes = allocated_bytes_below(entry.path);
    entry.changed = modification_time(status);
    entries.push_back(std::move(entry));
  }
  return entries;
}

void Store::remove_temporary(const TemporaryEntry& entry) {
  remove_tree(entry.path);
}

bool Store::is_pulling() const {
  for (const std::string& name : list_directory(root_ / "locks")) {
    if (name.starts_with("image-") && Lock::is_held(root_ / "locks" / std::filesystem::path(name).stem())) return true;
  }
  return false;
}

void Store::remove_idle_locks() {
  for (const std::string& name : list_directory(root_ / "locks")) {
    const std::filesystem::path path = root_ / "locks" / name;
    if (path.extension() == ".lock" || path.extension() == ".lease") Lock::remove_idle(root_ / "locks" / path.stem());
  }
}

FileTime Store::now() {
  return filesystem_now(root_ / "tmp");
}

}  // namespace mlctr
