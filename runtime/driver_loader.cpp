#include "runtime/driver_loader.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/file.hpp"
#include "runtime/apply_mounts.hpp"
#include "runtime/forward_compat.hpp"
#include "runtime/ld_cache.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::uint32_t k_former_tag = 0x72746c6d;  // ours; loaders skip what they don't know (dl-cache.h)
constexpr std::string_view k_loader_place = "/run/mlctr/driver/";

#if defined(__aarch64__)
constexpr const char* k_glibc = "/lib/ld-linux-aarch64.so.1";
constexpr const char* k_musl = "/lib/ld-musl-aarch64.so.1";
#else
constexpr const char* k_glibc = "/lib64/ld-linux-x86-64.so.2";
constexpr const char* k_musl = "/lib/ld-musl-x86_64.so.1";
#endif

std::vector<std::string> directories_of(const std::vector<LoaderLibrary>& libraries) {
  std::vector<std::string> directories;
  for (const LoaderLibrary& library : libraries) {
    std::string directory = library.path.substr(0, library.path.rfind('/'));
    if (std::ranges::find(directories, directory) == directories.end()) directories.push_back(std::move(directory));
  }
  return directories;
}

std::vector<EnvironmentEdit> by_environment(const std::vector<LoaderLibrary>& libraries,
                                            const Environment& environment) {
  std::string value = fmt::format("{}", fmt::join(directories_of(libraries), ":"));
  const std::string_view before = environment.value("LD_LIBRARY_PATH");
  if (!before.empty()) value += fmt::format(":{}", before);
  return {{"LD_LIBRARY_PATH", value, libraries[0].origin}};
}

bool is_of(const LdCacheEntry& entry, const std::vector<LoaderLibrary>& libraries) {
  return std::ranges::any_of(libraries, [&](const LoaderLibrary& library) {
    return library.soname == entry.name && static_cast<std::int32_t>(library.architecture) == (entry.flags & 0xffff);
  });
}

std::string with_libraries(LdCache cache, const std::vector<LoaderLibrary>& libraries, const FormerCache& former) {
  std::erase_if(cache.entries, [&](const LdCacheEntry& entry) { return is_of(entry, libraries); });
  std::vector<LdCacheEntry> first;
  for (const LoaderLibrary& library : libraries) {
    first.push_back({static_cast<std::int32_t>(library.architecture), library.soname, library.path, 0, 0});
  }
  cache.entries.insert(cache.entries.begin(), std::make_move_iterator(first.begin()),
                       std::make_move_iterator(first.end()));
  cache.extensions.push_back({k_former_tag, (former.owner == CacheOwner::container ? "c" : "i") + former.bytes});
  return write_ld_cache(std::move(cache));
}

std::pair<std::string, std::string> split(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return {path.substr(0, slash), path.substr(slash + 1)};
}

// A new file in the place of whatever is there: by rename, so that a program that maps the old one keeps it.
bool replace(const Rootfs& rootfs, const std::string& path, std::string_view content) {
  const auto [directory_path, name] = split(path);
  const auto directory = rootfs.own_directory(directory_path);
  if (!directory) return false;
  const std::string temporary = fmt::format(".{}-{}", name, random_suffix());
  const Fd file(::openat(directory->get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file) return false;
  write_all(file.get(), std::as_bytes(std::span(content)), path);
  ::fchmod(file.get(), 0644);  // whatever the umask
  if (::renameat(directory->get(), temporary.c_str(), directory->get(), name.c_str()) == 0) return true;
  ::unlinkat(directory->get(), temporary.c_str(), 0);
  return false;
}

void cover(Rootfs& rootfs, const std::string& content, int scratch) {
  std::vector<Mount> plan{{.source = FileMount{content},
                           .target = k_ld_cache,
                           .attributes = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC}};
  apply_mounts(open_mounts(std::move(plan), {}), rootfs, scratch);
}

bool is_musl(const Rootfs& rootfs) {
  return rootfs.find(k_musl, O_PATH) && !rootfs.find(k_glibc, O_PATH) && !rootfs.find(k_ld_cache, O_PATH);
}

bool change_cache(const std::vector<LoaderLibrary>& libraries, Rootfs& rootfs, const LoaderPlace& place) {
  const std::string before = rootfs.read(k_ld_cache, k_max_ld_cache_bytes).value_or("");
  const FormerCache former = without_driver(before).value_or(FormerCache{place.owner, before});
  auto cache = former.bytes.empty() ? LdCache{} : parse_ld_cache(former.bytes);
  if (!cache) return false;
  const std::string bytes = with_libraries(std::move(*cache), libraries, former);
  if (place.change == CacheChange::cover) return cover(rootfs, bytes, place.scratch), true;
  if (!replace(rootfs, k_ld_cache, bytes)) return false;
  if (rootfs.own_directory(split(k_driver_conf).first)) {
    replace(rootfs, k_driver_conf, fmt::format("{}\n", fmt::join(directories_of(libraries), "\n")));
  }
  return true;
}

}  // namespace

std::vector<EnvironmentEdit> show_to_loader(const LoaderEdits& edits, Rootfs& rootfs, const LoaderPlace& place,
                                            const Environment& environment,
                                            const std::function<void(const std::string&)>& tell) {
  if (edits.libraries.empty()) return {};
  std::vector<LoaderLibrary> libraries;
  if (edits.forward_compat) libraries = find_forward_compat(*edits.forward_compat, rootfs);
  libraries.insert(libraries.end(), edits.libraries.begin(), edits.libraries.end());
  if (is_musl(rootfs)) {
    if (tell)
      tell(fmt::format("{}: this image's C library is musl; the driver's libraries are made for glibc",
                       libraries[0].origin));
    return by_environment(libraries, environment);
  }
  try {
    if (change_cache(libraries, rootfs, place)) return {};
  } catch (const Error&) {
    // A directory in the file's place, say: the image's own doing.
  }
  return by_environment(libraries, environment);
}

std::optional<FormerCache> without_driver(std::string_view bytes) {
  auto cache = parse_ld_cache(bytes);
  if (!cache) return std::nullopt;
  for (const LdCacheExtension& each : cache->extensions) {
    if (each.tag != k_former_tag || each.bytes.empty()) continue;
    return FormerCache{each.bytes[0] == 'c' ? CacheOwner::container : CacheOwner::image, each.bytes.substr(1)};
  }
  const auto removed =
      std::erase_if(cache->entries, [](const LdCacheEntry& entry) { return entry.path.starts_with(k_loader_place); });
  if (removed == 0) return std::nullopt;
  return FormerCache{CacheOwner::container, write_ld_cache(std::move(*cache))};
}

}  // namespace mlctr::runtime
