#include "runtime/obstacle.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <sstream>

#include "base/file.hpp"
#include "base/shell_word.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::string_view k_own_profile = "mlctr";
constexpr const char* k_outer_container =
    "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined --device /dev/fuse …";

// Without the newline; empty where this kernel has no such file.
std::string setting(const std::filesystem::path& file) {
  std::string value = read_file_if_any(file, 64);
  value.erase(value.find_last_not_of('\n') + 1);
  return value;
}

// "Seccomp:\t2": a filter is at work, proc(5).
bool is_filtered(const std::filesystem::path& proc) {
  return read_file_if_any(proc / "self/status").find("\nSeccomp:\t2") != std::string::npos;
}

// A root directory that is no mount's: no user namespaces there (user_namespaces(7), EPERM).
bool is_chrooted(const std::filesystem::path& proc) {
  std::istringstream lines(read_file_if_any(proc / "self/mountinfo"));
  bool has_lines = false;
  for (std::string line; std::getline(lines, line); has_lines = true) {
    std::istringstream fields(line);
    std::string field;
    for (int i = 0; i < 5; ++i) fields >> field;
    if (field == "/") return false;
  }
  return has_lines;
}

bool has_filesystem(const std::filesystem::path& proc, const std::string& name) {
  return read_file_if_any(proc / "filesystems").find("\t" + name + "\n") != std::string::npos;
}

std::vector<std::string> module_commands(const std::string& module) {
  return {"sudo modprobe " + module, fmt::format("echo {0} | sudo tee /etc/modules-load.d/{0}.conf", module)};
}

std::string kernel_release() {
  struct utsname names {};
  return ::uname(&names) == 0 ? names.release : "?";
}

Obstacle seccomp_obstacle() {
  return {"a seccomp filter of the container or sandbox that mlctr was started in forbids it", {k_outer_container}};
}

// Quoted for AppArmor (apparmor.d(5), globs) and then for the shell's single quotes.
std::string quoted_path(const std::filesystem::path& program) {
  std::string quoted;
  for (const char c : program.string()) {
    if (std::string_view("*?[]{}^\"\\@").find(c) != std::string_view::npos) quoted += '\\';
    quoted += c;
  }
  return '"' + quoted + '"';
}

Obstacle apparmor_obstacle() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  return {
      "AppArmor lets only programs with a profile make one (kernel.apparmor_restrict_unprivileged_userns=1, "
      "Ubuntu's default), and mlctr has none",
      {fmt::format("echo {} | sudo tee /etc/apparmor.d/mlctr",
                   shell_quoted(apparmor_profile(error ? "/usr/bin/mlctr" : program))),
       "sudo apparmor_parser -r /etc/apparmor.d/mlctr"}};
}

// "unconfined", "docker-default"; empty without AppArmor (apparmor_getcon(2), "docker-default (enforce)").
std::string apparmor_label(const std::filesystem::path& proc) {
  const std::string label = setting(proc / "self/attr/apparmor/current");
  return label.substr(0, label.find(' '));
}

// Ubuntu gives programs without a profile the last one as soon as they have made a namespace.
bool is_profile_of_outer_container(const std::string& label) {
  return !label.empty() && label != "unconfined" && label != k_own_profile &&
         label.find("unprivileged_userns") == std::string::npos;
}

std::string describe_node(const std::filesystem::path& device) {
  struct stat status {};
  if (::stat(device.c_str(), &status) != 0) return device.string();
  return fmt::format("{} (mode {:04o})", device.string(), status.st_mode & 07777u);
}

bool is_open_to_all(const std::filesystem::path& device) {
  struct stat status {};
  return ::stat(device.c_str(), &status) == 0 && (status.st_mode & 06) == 06;
}

}  // namespace

std::string Obstacle::hint() const {
  if (commands.empty()) return cause;
  const std::string& first = commands.front();
  if (first.find('\n') != std::string::npos) return cause + "; `mlctr doctor` prints what to install";
  return fmt::format("{}; this changes it: {}{}", cause, first,
                     commands.size() > 1 ? "; `mlctr doctor` prints how to keep it so" : "");
}

std::string apparmor_profile(const std::filesystem::path& program) {
  return fmt::format("abi <abi/4.0>,\ninclude <tunables/global>\nprofile {} {} flags=(unconfined) {{\n  userns,\n}}",
                     k_own_profile, quoted_path(program));
}

std::vector<std::string> sysctl_commands(const std::string& setting) {
  return {"sudo sysctl -w " + setting, fmt::format("echo {} | sudo tee -a /etc/sysctl.d/90-mlctr.conf", setting)};
}

std::string install_command(const std::string& package) {
  struct Manager {
    const char *program, *command;
  };
  constexpr std::array<Manager, 3> k_managers{{{"/usr/bin/apt-get", "sudo apt-get install -y"},
                                               {"/usr/bin/dnf", "sudo dnf install -y"},
                                               {"/usr/bin/zypper", "sudo zypper install -y"}}};
  for (const Manager& manager : k_managers) {
    if (::access(manager.program, X_OK) == 0) return fmt::format("{} {}", manager.command, package);
  }
  return "install the package " + package;
}

Obstacle why_no_user_namespace(int errno_value, const std::filesystem::path& proc) {
  const auto sys = proc / "sys";
  if (setting(sys / "user/max_user_namespaces") == "0") {
    return {"user.max_user_namespaces=0 allows none", sysctl_commands("user.max_user_namespaces=60000")};
  }
  if (errno_value == ENOSPC || errno_value == EUSERS) {
    return {
        "the limit of user namespaces is reached, here or in a namespace around this one, or they are nested over "
        "32 deep",
        sysctl_commands("user.max_user_namespaces=60000")};
  }
  if (errno_value == EINVAL || errno_value == ENOSYS) {
    return {fmt::format("this kernel ({}) was built without user namespaces (CONFIG_USER_NS)", kernel_release()), {}};
  }
  if (setting(sys / "kernel/unprivileged_userns_clone") == "0") {
    return {"kernel.unprivileged_userns_clone=0 keeps users from making one",
            sysctl_commands("kernel.unprivileged_userns_clone=1")};
  }
  const std::string profile = apparmor_label(proc);
  if (is_profile_of_outer_container(profile)) {
    return {fmt::format("the AppArmor profile {} of the container that mlctr was started in forbids it", profile),
            {k_outer_container}};
  }
  if (profile != k_own_profile && setting(sys / "kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return apparmor_obstacle();
  }
  if (is_chrooted(proc)) return {"mlctr runs in a chroot, where there are none: start it outside", {}};
  if (is_filtered(proc)) return seccomp_obstacle();
  return {"user namespaces may be forbidden by a security module, or by the sandbox mlctr runs in", {}};
}

Obstacle why_no_fuse_device(int errno_value, const std::filesystem::path& device, const std::filesystem::path& proc) {
  const bool has_driver = has_filesystem(proc, "fuse");
  if (errno_value == ENOENT && has_driver) {
    return {
        fmt::format("the kernel has FUSE, but there is no {} here: a container gets it from outside", device.string()),
        {"docker run --device /dev/fuse …"}};
  }
  if (errno_value == ENOENT || errno_value == ENODEV || errno_value == ENXIO) {
    return {"the kernel's module fuse is not loaded", module_commands("fuse")};
  }
  if (errno_value == EACCES && !is_open_to_all(device)) {
    return {fmt::format("{} is not for everyone, as distributions have it", describe_node(device)),
            {fmt::format("sudo chmod 0666 {}", device.string()),
             "echo 'KERNEL==\"fuse\", MODE=\"0666\"' | sudo tee /etc/udev/rules.d/99-fuse.rules"}};
  }
  if (errno_value == EACCES || errno_value == EPERM) {
    return {fmt::format("{} is forbidden by the container that mlctr was started in, or lies on a filesystem without "
                        "devices (nodev)",
                        describe_node(device)),
            {"docker run --device /dev/fuse …"}};
  }
  return {fmt::format("{} can't be opened", describe_node(device)), {}};
}

Obstacle why_no_fuse_mount(int errno_value, const std::filesystem::path& proc) {
  struct stat status {};
  if (errno_value == EINVAL && (::stat("/dev/fuse", &status) != 0 || !S_ISCHR(status.st_mode))) {
    return {"what is at /dev/fuse is not the kernel's device",
            {"sudo rm /dev/fuse", "sudo mknod -m 0666 /dev/fuse c 10 229"}};
  }
  if (errno_value == ENODEV) return {"the kernel's module fuse is not loaded", module_commands("fuse")};
  if (errno_value == EPERM && is_filtered(proc)) return seccomp_obstacle();
  return {fmt::format("this kernel ({}) or a security module lets users mount no FUSE filesystem (Linux 4.18 does)",
                      kernel_release()),
          {}};
}

Obstacle why_no_overlay(int errno_value, const std::filesystem::path& proc) {
  if (errno_value == ENODEV || !has_filesystem(proc, "overlay")) {
    return {"the kernel's module overlay is not loaded", module_commands("overlay")};
  }
  if (is_filtered(proc) && errno_value == EPERM) return seccomp_obstacle();
  return {fmt::format("this kernel ({}) has no overlays for users: Linux 5.11 or newer does", kernel_release()), {}};
}

}  // namespace mlctr::runtime
