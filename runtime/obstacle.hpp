// What of a machine's set-up is in mlctr's way, and the commands that clear it: told by `mlctr doctor` in full, and by
// whatever fails in a line. Found after something was tried and failed: the errno narrows it down, then the switches
// that distributions and outer containers have are looked at. `proc` is there for tests.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace mlctr::runtime {

struct Obstacle {
  std::string cause;                    ///< "kernel.unprivileged_userns_clone=0 keeps users from making one"
  std::vector<std::string> commands{};  ///< for a shell, each whole; one may have several lines

  /// All in one line.
  std::string hint() const;
};

/// Of unshare(2) or of writing the id maps (user_namespaces(7), ERRORS).
Obstacle why_no_user_namespace(int errno_value, const std::filesystem::path& proc = "/proc");

/// Of opening `device`.
Obstacle why_no_fuse_device(int errno_value, const std::filesystem::path& device = "/dev/fuse",
                            const std::filesystem::path& proc = "/proc");

/// Of mounting with a descriptor of /dev/fuse.
Obstacle why_no_fuse_mount(int errno_value, const std::filesystem::path& proc = "/proc");

/// Of mounting an overlay with nothing of the user's in it.
Obstacle why_no_overlay(int errno_value, const std::filesystem::path& proc = "/proc");

/// The AppArmor profile that lets `program` make user namespaces where only profiles may (Ubuntu 23.10 and newer).
std::string apparmor_profile(const std::filesystem::path& program);

/// Sets a sysctl now and for the next boots.
std::vector<std::string> sysctl_commands(const std::string& setting);

/// `package` by this machine's package manager.
std::string install_command(const std::string& package);

}  // namespace mlctr::runtime
