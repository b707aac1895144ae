#include "runtime/rootfs.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "runtime/syscalls.hpp"

namespace mlctr::runtime {
namespace {

constexpr int k_max_links = 40;  // as the kernel's own limit, path_resolution(7)

std::string describe(std::string_view path) {
  return fmt::format("{} in the container", printable(path, 4096));
}

bool is_absent(int errno_value) {
  return errno_value == ENOENT || errno_value == ENOTDIR || errno_value == ELOOP;
}

std::string parent_of(const std::string& path) {
  const std::size_t slash = path.find_last_of('/');
  return slash == std::string::npos || slash == 0 ? "/" : path.substr(0, slash);
}

// Without the slashes at its end: "/a/b" for "/a/b//".
std::string trimmed(std::string_view path) {
  const std::size_t last = path.find_last_not_of('/');
  return last == std::string_view::npos ? "/" : std::string(path.substr(0, last + 1));
}

NodeKind kind_of(const Fd& node, std::string_view path) {
  struct stat status;
  if (::fstat(node.get(), &status) != 0) throw SysError("cannot look at " + describe(path));
  return S_ISDIR(status.st_mode) ? NodeKind::directory : NodeKind::file;
}

std::uint64_t mount_id(const Fd& node) {
  struct statx status {};
  if (::statx(node.get(), "", AT_EMPTY_PATH, STATX_MNT_ID, &status) != 0) throw SysError("cannot look at a mount");
  return status.stx_mnt_id;
}

bool is_same_node(const Fd& left, const Fd& right) {
  struct stat a {
  }, b{};
  return ::fstat(left.get(), &a) == 0 && ::fstat(right.get(), &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

std::optional<std::string> link_target(int directory, const std::string& name) {
  std::string target(PATH_MAX, '\0');
  const ssize_t size = ::readlinkat(directory, name.c_str(), target.data(), target.size());
  if (size < 0) return std::nullopt;
  target.resize(static_cast<std::size_t>(size));
  return target;
}

}  // namespace

// fchmodat(2) would follow the link, from the host's root. Opened for reading: fchmod(2) takes no O_PATH, and a build's
// steps have no /proc to name it by. A FIFO in its place must not hold us up.
bool set_mode_of_made(int directory, const std::string& name, mode_t mode) {
  const Fd made(::openat(directory, name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
  return made && ::fchmod(made.get(), mode) == 0;
}

Rootfs::Rootfs(Fd root) : root_(std::move(root)), own_mounts_{mount_id(root_)}, root_mount_(mount_id(root_)) {}

std::optional<Fd> Rootfs::find(std::string_view path, int flags) const {
  const open_how how{
      .flags = static_cast<std::uint64_t>(flags), .mode = 0, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
  const std::string name(path);
  Fd fd(openat2(root_.get(), name.c_str(), how));
  if (fd) return fd;
  if (is_absent(errno)) return std::nullopt;
  throw SysError("cannot open " + describe(path));
}

Fd Rootfs::make(std::string_view path, NodeKind kind) const {
  return make_below(trimmed(path), kind, Trail::named, k_max_links);
}

Fd Rootfs::make_below(const std::string& path, NodeKind kind, Trail trail, int links_left) const {
  if (auto node = find(path, O_PATH)) {
    if (kind_of(*node, path) == kind) return std::move(*node);
    throw Error(fmt::format("{} is {}", describe(path),
                            kind == NodeKind::file ? "a directory: a file can't be mounted there"
                                                   : "not a directory: a directory can't be mounted there"));
  }
  if (links_left == 0) throw SysError("cannot make " + describe(path), ELOOP);
  const Fd parent = make_below(parent_of(path), NodeKind::directory, trail, links_left);
  check_may_make_in(parent, parent_of(path), trail);
  const std::string name = path.substr(path.find_last_of('/') + 1);
  const int made = kind == NodeKind::directory ? ::mkdirat(parent.get(), name.c_str(), 0755)
                                               : ::mknodat(parent.get(), name.c_str(), S_IFREG | 0644, 0);
  if (made == 0) {
    const mode_t mode = kind == NodeKind::directory ? 0755 : 0644;  // whatever the umask
    if (!set_mode_of_made(parent.get(), name, mode)) throw SysError("cannot make " + describe(path));
    note_made(parent, name);
    return make_below(path, kind, trail, 0);
  }
  if (errno == EEXIST) {  // a dangling link, or one that runs in a circle
    if (const auto target = link_target(parent.get(), name)) {
      return make_below(trimmed(target->starts_with('/') ? *target : parent_of(path) + "/" + *target), kind,
                        Trail::linked, links_left - 1);
    }
    errno = EEXIST;
  }
  throw SysError("cannot make " + describe(path));
}

// Whatever links led there.
void Rootfs::note_made(const Fd& parent, const std::string& name) const {
  if (mount_id(parent) != root_mount_) return;
  const auto path_of = [](int fd) { return link_target(AT_FDCWD, fmt::format("/proc/self/fd/{}", fd)).value_or(""); };
  const std::string root = path_of(root_.get()), directory = path_of(parent.get());
  if (!directory.starts_with(root)) return;
  made_.push_back(fmt::format(
      "{}/{}", root == "/" && directory == "/" ? "" : directory.substr(root == "/" ? 0 : root.size()), name));
}

std::optional<Fd> Rootfs::own_directory(std::string_view path) const {
  auto directory = find(path, O_RDONLY | O_DIRECTORY);
  if (!directory || mount_id(*directory) != root_mount_) return std::nullopt;
  return directory;
}

// In the user's home, say, only what the user's own words lead to.
void Rootfs::check_may_make_in(const Fd& parent, const std::string& parent_path, Trail trail) const {
  if (own_mounts_.contains(mount_id(parent))) return;
  const open_how how{.flags = O_PATH, .mode = 0, .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS};
  const Fd as_named(trail == Trail::named ? openat2(root_.get(), parent_path.c_str(), how) : -1);
  if (as_named && is_same_node(as_named, parent)) return;
  throw Error(fmt::format("{} is not made: a link in the image leads there, and it is a directory of the host's",
                          describe(parent_path)));
}

void Rootfs::attach(const Fd& tree, std::string_view path, NodeKind kind, MountOrigin origin) {
  if (origin == MountOrigin::own) own_mounts_.insert(mount_id(tree));
  const Fd target = make(path, kind);
  if (::move_mount(tree.get(), "", target.get(), "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) != 0) {
    throw SysError("cannot mount on " + describe(path));
  }
}

std::optional<std::string> Rootfs::read(std::string_view path, std::uint64_t max_bytes) const {
  const auto file = find(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);  // a FIFO or a terminal must not hold us up
  struct stat status;
  if (!file || ::fstat(file->get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  if (static_cast<std::uint64_t>(status.st_size) > max_bytes) return std::nullopt;
  std::string content(static_cast<std::size_t>(status.st_size), '\0');
  content.resize(read_at(file->get(), std::as_writable_bytes(std::span(content)), 0, path));
  return content;
}

}  // namespace mlctr::runtime
