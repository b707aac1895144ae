#include "squashfs/upper_xattrs.hpp"

#include <sys/xattr.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "base/error.hpp"
#include "squashfs/format.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::size_t k_max_list_bytes = 65536;   // XATTR_LIST_MAX
constexpr std::size_t k_max_value_bytes = 65536;  // XATTR_SIZE_MAX
constexpr std::string_view k_overlay = "user.overlay.", k_ours = "user.mlctr.", k_capability = "security.capability";

// Others are the host's policy (security.selinux, .ima, .apparmor) or nobody's in a user namespace (trusted.*).
bool is_kept(std::string_view name) {
  return name == k_capability ||
         (name.starts_with("user.") && name.size() > 5 && !name.starts_with(k_overlay) && !name.starts_with(k_ours));
}

// struct vfs_ns_cap_data (linux/capability.h) names a user namespace's root by its id on this host; without it, the
// capabilities are those of whoever's root runs the image.
std::string portable_capability(std::string value) {
  constexpr std::size_t k_revision_2_bytes = 20, k_revision_3_bytes = 24;
  constexpr std::byte k_revision_2{2}, k_revision_3{3};  // the top byte of a little-endian magic_etc
  if (value.size() != k_revision_3_bytes || static_cast<std::byte>(value[3]) != k_revision_3) return value;
  value[3] = static_cast<char>(k_revision_2);
  value.resize(k_revision_2_bytes);
  return value;
}

std::string list_names(int fd, const std::string& file_name) {
  // Most files have none, and most others few: the second call is rare.
  std::string names(1024, '\0');
  ssize_t size = ::flistxattr(fd, names.data(), names.size());
  if (size < 0 && errno == ERANGE) {
    names.resize(k_max_list_bytes);
    size = ::flistxattr(fd, names.data(), names.size());
  }
  if (size < 0 && errno != ENOTSUP) throw SysError("cannot list the extended attributes of " + file_name);
  names.resize(static_cast<std::size_t>(std::max<ssize_t>(size, 0)));
  return names;
}

std::string read_value(int fd, const std::string& xattr, const std::string& file_name) {
  std::string value(k_max_value_bytes, '\0');
  const ssize_t size = ::fgetxattr(fd, xattr.c_str(), value.data(), value.size());
  if (size < 0) throw SysError("cannot read the extended attribute " + xattr + " of " + file_name);
  value.resize(static_cast<std::size_t>(size));
  return value;
}

}  // namespace

UpperXattrs read_upper_xattrs(int fd, const std::string& name) {
  UpperXattrs found;
  const std::string names = list_names(fd, name);
  for (std::string_view rest = names; !rest.empty();) {
    const std::string xattr(rest.substr(0, rest.find('\0')));
    rest.remove_prefix(std::min(rest.size(), xattr.size() + 1));
    if (is_kept(xattr)) {
      std::string value = read_value(fd, xattr, name);
      found.own.emplace_back(xattr, xattr == k_capability ? portable_capability(std::move(value)) : std::move(value));
    } else if (xattr.starts_with(k_overlay)) {
      const std::string_view mark = std::string_view(xattr).substr(k_overlay.size());
      if (mark == "whiteout") found.is_whiteout = true;
      if (mark == "redirect" || mark == "metacopy") found.is_elsewhere = true;
      // "x" says that there may be whiteouts of the xattr kind inside, and hides nothing.
      if (mark == "opaque") found.is_opaque = read_value(fd, xattr, name) == "y";
    }
  }
  std::ranges::sort(found.own);
  return found;
}

}  // namespace mlctr::squashfs
