#include "app/driver_traces.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/file.hpp"
#include "runtime/driver_loader.hpp"
#include "runtime/ld_cache.hpp"
#include "runtime/rootfs.hpp"

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

// Programs of the container may have put links anywhere: each directory is found with the tree as its root.
void remove_if_unused(const runtime::Rootfs& tree, const std::string& path) {
  const TracePlace place = split(path);
  const auto directory = tree.own_directory(place.directory);
  struct stat status {};
  if (!directory || ::fstatat(directory->get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (S_ISREG(status.st_mode) && status.st_size == 0) ::unlinkat(directory->get(), place.name.c_str(), 0);
  if (S_ISDIR(status.st_mode)) ::unlinkat(directory->get(), place.name.c_str(), AT_REMOVEDIR);  // an empty one
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

void restore_cache(const runtime::Rootfs& tree) {
  const auto now = tree.read(runtime::k_ld_cache, runtime::k_max_ld_cache_bytes);
  const auto before = now ? runtime::without_driver(*now) : std::nullopt;
  if (!before) return;
  if (before->owner == runtime::CacheOwner::container && !before->bytes.empty()) {
    write_in_place_of(tree, runtime::k_ld_cache, before->bytes);
  } else {
    remove_file(tree, runtime::k_ld_cache);  // the image's shows again
  }
}

std::vector<std::string> parse(std::string_view text) {
  std::vector<std::string> paths;
  for (std::size_t end = 0; (end = text.find('\0')) != text.npos; text.remove_prefix(end + 1)) {
    paths.emplace_back(text.substr(0, end));
  }
  return paths;
}

void clean(const std::filesystem::path& directory, const std::vector<std::string>& made) {
  const Fd root(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return;
  const runtime::Rootfs tree(Fd(::fcntl(root.get(), F_DUPFD_CLOEXEC, 0)));
  restore_cache(tree);
  remove_file(tree, runtime::k_driver_conf);
  std::for_each(made.rbegin(), made.rend(), [&](const std::string& path) { remove_if_unused(tree, path); });
}

}  // namespace

Fd open_driver_traces(const StoredContainer& container) {
  return open_file(container.upper.parent_path() / k_file, O_WRONLY | O_CREAT | O_TRUNC, 0600);
}

void note_driver_traces(const Fd& file, const std::vector<std::string>& made) {
  std::string text;
  for (const std::string& path : made) text.append(path).push_back('\0');
  write_all(file.get(), std::as_bytes(std::span(text)), k_file);
}

void remove_driver_traces(const std::filesystem::path& container) noexcept {
  try {
    const std::filesystem::path file = container / k_file;
    if (::access(file.c_str(), F_OK) != 0) return;
    const std::vector<std::string> made = parse(read_file_if_any(file));
    for (const char* tree : {"upper", "copy"}) clean(container / tree, made);
    ::unlink(file.c_str());
  } catch (const std::exception&) {
  }
}

}  // namespace mlctr
