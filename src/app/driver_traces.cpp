#include "app/driver_traces.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/file.hpp"
#include "runtime/driver_loader.hpp"
#include "runtime/ld_cache.hpp"
#include "runtime/rootfs.hpp"
#include "squashfs/image_path.hpp"

namespace mlctr {
namespace {

constexpr const char* k_file = "driver-traces";

struct TracePlace {
  std::string directory, name;
};

TracePlace split(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return {slash == 0 || slash == path.npos ? "/" : path.substr(0, slash), path.substr(slash + 1)};
}

struct Trace {
  std::string path;
  bool was_deleted = false;  ///< the image has it, and the container did not
};

bool remove_entry(const Fd& directory, const std::string& name, bool is_directory) {
  return ::unlinkat(directory.get(), name.c_str(), is_directory ? AT_REMOVEDIR : 0) == 0;  // an empty one
}

// Programs of the container may have put links anywhere: each directory is found with the tree as its root.
void remove_if_unused(const runtime::Rootfs& tree, const Trace& trace, bool is_on_image) {
  const TracePlace place = split(trace.path);
  const auto directory = tree.own_directory(place.directory);
  struct stat status {};
  if (!directory || ::fstatat(directory->get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  const bool is_empty_file = S_ISREG(status.st_mode) && status.st_size == 0;
  if (!is_empty_file && !S_ISDIR(status.st_mode)) return;
  if (!remove_entry(*directory, place.name, S_ISDIR(status.st_mode)) || !is_on_image || !trace.was_deleted) return;
  // overlayfs's mark of a name that is gone, which any user may make; the image's would show again.
  ::mknodat(directory->get(), place.name.c_str(), S_IFCHR, makedev(0, 0));
}

void remove_file(const runtime::Rootfs& tree, const std::string& path) {
  const TracePlace place = split(path);
  if (const auto directory = tree.own_directory(place.directory)) ::unlinkat(directory->get(), place.name.c_str(), 0);
}

void write_in_place_of(const runtime::Rootfs& tree, const std::string& path, const std::string& content) {
  const TracePlace place = split(path);
  const auto directory = tree.own_directory(place.directory);
  if (!directory) return;
  const std::string temporary = "." + place.name + "-" + random_suffix();
  const Fd file(::openat(directory->get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file) throw SysError("cannot write " + path);
  write_all(file.get(), std::as_bytes(std::span(content)), path);
  ::fchmod(file.get(), 0644);
  ::renameat(directory->get(), temporary.c_str(), directory->get(), place.name.c_str());
}

std::optional<runtime::FormerCache> former_cache(const runtime::Rootfs& tree) {
  const auto now = tree.read(runtime::k_ld_cache, runtime::k_max_ld_cache_bytes);
  return now ? runtime::without_driver(*now) : std::nullopt;
}

bool is_own(const runtime::FormerCache& cache) {
  return cache.owner == runtime::CacheOwner::container && !cache.bytes.empty();
}

void restore_cache(const runtime::Rootfs& tree) {
  const auto before = former_cache(tree);
  if (!before) return;
  if (is_own(*before)) {
    write_in_place_of(tree, runtime::k_ld_cache, before->bytes);
  } else {
    remove_file(tree, runtime::k_ld_cache);  // the image's shows again
  }
}

std::vector<Trace> parse(std::string_view text) {
  std::vector<Trace> traces;
  for (std::size_t end = 0; (end = text.find('\0')) != text.npos; text.remove_prefix(end + 1)) {
    const bool was_deleted = text.starts_with('-');
    const std::string_view path = text.substr(was_deleted, end - was_deleted);
    if (path.starts_with('/')) traces.push_back({std::string(path), was_deleted});
  }
  return traces;
}

std::optional<runtime::Rootfs> open_tree(const std::filesystem::path& directory) {
  Fd root(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return std::nullopt;
  return runtime::Rootfs(std::move(root));
}

void clean(const std::filesystem::path& directory, const std::vector<Trace>& made, bool is_on_image) {
  const auto found = open_tree(directory);
  if (!found) return;
  const runtime::Rootfs& tree = *found;
  restore_cache(tree);
  remove_file(tree, runtime::k_driver_conf);
  std::for_each(made.rbegin(), made.rend(), [&](const Trace& trace) { remove_if_unused(tree, trace, is_on_image); });
}

}  // namespace

Fd open_driver_traces(const StoredContainer& container) {
  return open_file(container.upper.parent_path() / k_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
}

void note_driver_traces(const Fd& file, const std::vector<std::string>& made, const squashfs::Reader& image) {
  std::string text;
  std::string deleted;  // a directory: what is made in it needs no mark of its own
  for (const std::string& path : made) {
    const bool is_below = !deleted.empty() && path.starts_with(deleted + "/");
    const bool was_deleted = !is_below && squashfs::has_entry(image, path);
    if (was_deleted) deleted = path;
    text.append(was_deleted ? "-" : "").append(path).push_back('\0');
  }
  write_all(file.get(), std::as_bytes(std::span(text)), k_file);
}

void remove_driver_traces(const std::filesystem::path& container) noexcept {
  try {
    const std::filesystem::path file = container / k_file;
    if (::access(file.c_str(), F_OK) != 0) return;
    const std::vector<Trace> made = parse(read_file_if_any(file));
    clean(container / "upper", made, /*is_on_image=*/true);
    clean(container / "copy", made, /*is_on_image=*/false);
    ::unlink(file.c_str());
  } catch (const std::exception&) {
  }
}

squashfs::UpperMask mask_driver_traces(const StoredContainer& container) {
  squashfs::UpperMask mask;
  const std::filesystem::path file = container.upper.parent_path() / k_file;
  if (::access(file.c_str(), F_OK) != 0) return mask;
  const auto in_upper = [](std::string_view path) { return std::string(path.substr(1)); };
  for (const Trace& trace : parse(read_file_if_any(file))) mask.left_out_if_empty.insert(in_upper(trace.path));
  mask.left_out.insert(in_upper(runtime::k_driver_conf));
  const auto tree = open_tree(container.upper);
  const auto before = tree ? former_cache(*tree) : std::nullopt;
  if (!before) return mask;
  if (is_own(*before)) {
    mask.contents.emplace(in_upper(runtime::k_ld_cache), before->bytes);
  } else {
    mask.left_out.insert(in_upper(runtime::k_ld_cache));
  }
  return mask;
}

}  // namespace mlctr
