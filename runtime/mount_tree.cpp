#include "runtime/mount_tree.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr::runtime {
namespace {

// The last thing the kernel had to say in a filesystem's configuration ("e tmpfs: Bad value for 'size'"), fsopen(2).
std::string kernel_message(const Fd& context) {
  std::string message;
  std::array<char, 512> line;
  for (ssize_t size; (size = ::read(context.get(), line.data(), line.size())) > 0;) {
    message = printable_lines(std::string_view(line.data(), static_cast<std::size_t>(size)));
  }
  return message.size() > 2 ? " (" + message.substr(2) + ")" : "";
}

[[noreturn]] void refuse(const Fd& context, std::string_view action) {
  const int errno_value = errno;
  throw SysError(fmt::format("{}{}", action, kernel_message(context)), errno_value);
}

}  // namespace

Fd bind_tree(const std::filesystem::path& source, std::uint64_t attributes, std::uint64_t propagation) {
  const std::string name = printable(source.string(), 4096);
  Fd tree(::open_tree(AT_FDCWD, source.c_str(), OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE));
  if (!tree && errno == ENOENT) throw SysError("source path does not exist: " + name);
  if (!tree) throw SysError("cannot take the mounts at " + name);
  mount_attr change{};
  change.attr_set = attributes;
  change.propagation = propagation;
  if (::mount_setattr(tree.get(), "", AT_EMPTY_PATH | AT_RECURSIVE, &change, sizeof change) != 0) {
    throw SysError("cannot set the mount options of " + name);
  }
  return tree;
}

Fd new_filesystem(const std::string& type, const FilesystemOptions& options, std::uint64_t attributes) {
  const std::string action = fmt::format("cannot mount a {} filesystem", type);
  const Fd context(::fsopen(type.c_str(), FSOPEN_CLOEXEC));
  if (!context) throw SysError(action);
  for (const auto& [key, value] : options) {
    const bool is_flag = value == k_flag;
    if (::fsconfig(context.get(), is_flag ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING, key.c_str(),
                   is_flag ? nullptr : value.c_str(), 0) != 0) {
      refuse(context, fmt::format("{} with {}={}", action, key, value));
    }
  }
  if (::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) refuse(context, action);
  Fd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)));
  if (!mount) refuse(context, action);
  return mount;
}

void attach_tree(const Fd& tree, int directory, const std::string& target) {
  if (::move_mount(tree.get(), "", directory, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    throw SysError("cannot mount on " + target);
  }
}

void add_attributes(int mount, std::uint64_t attributes) {
  mount_attr change{};
  change.attr_set = attributes;
  if (::mount_setattr(mount, "", AT_EMPTY_PATH, &change, sizeof change) != 0) {
    throw SysError("cannot change a mount's options");
  }
}

}  // namespace mlctr::runtime
