#include "runtime/base_container.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mount.h>

#include <algorithm>
#include <array>
#include <functional>

#include "base/path.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::uint64_t k_max_database_bytes = 4u << 20;
constexpr std::uint64_t k_quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

void bind_host(std::vector<Mount>& plan, const std::filesystem::path& source, std::uint64_t attributes,
               IfMissing if_missing = IfMissing::fail) {
  plan.push_back(
      {.source = BindMount{source}, .target = source.string(), .attributes = attributes, .if_missing = if_missing});
}

void add_kernel_filesystems(std::vector<Mount>& plan, int own_namespaces) {
  if ((own_namespaces & CLONE_NEWPID) != 0) {
    plan.push_back({.source = KernelMount{"proc"}, .target = "/proc", .attributes = k_quiet | MOUNT_ATTR_NOEXEC});
  } else {
    bind_host(plan, "/proc", 0);
  }
  if ((own_namespaces & CLONE_NEWNET) != 0) {
    // The host's shows the host's interfaces, whatever the namespace of who looks.
    plan.push_back({.source = KernelMount{"sysfs"},
                    .target = "/sys",
                    .attributes = k_quiet | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY});
    bind_host(plan, "/sys/fs/cgroup", MOUNT_ATTR_RDONLY, IfMissing::skip);
  } else {
    bind_host(plan, "/sys", MOUNT_ATTR_RDONLY);
  }
}

// Device nodes can't be made in a user namespace; the host's can be bound. They must not get nodev.
void add_own_devices(std::vector<Mount>& plan, const Host& host, int own_namespaces) {
  plan.push_back({.source = TmpfsMount{.mode = 0755, .size_bytes = 1u << 20},
                  .target = "/dev",
                  .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC});
  for (const char* device : {"null", "zero", "full", "random", "urandom", "tty"}) {
    bind_host(plan, fmt::format("/dev/{}", device), MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
  }
  bind_host(plan, "/dev/fuse", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, IfMissing::skip);  // for containers in it
  plan.push_back({.source = KernelMount{"devpts", {{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "620"}}},
                  .target = "/dev/pts",
                  .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC});
  if (!host.terminal.empty()) {
    plan.push_back({.source = BindMount{host.terminal},
                    .target = "/dev/console",
                    .attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC,
                    .if_missing = IfMissing::skip});
  }
  constexpr std::array<std::pair<const char*, const char*>, 6> k_links{{{"/dev/ptmx", "pts/ptmx"},
                                                                        {"/dev/fd", "/proc/self/fd"},
                                                                        {"/dev/stdin", "/proc/self/fd/0"},
                                                                        {"/dev/stdout", "/proc/self/fd/1"},
                                                                        {"/dev/stderr", "/proc/self/fd/2"},
                                                                        {"/dev/core", "/proc/kcore"}}};
  for (const auto& [link, target] : k_links) plan.push_back({.source = LinkNode{target}, .target = link});

  if ((own_namespaces & CLONE_NEWIPC) != 0) {
    plan.push_back({.source = TmpfsMount{.mode = 01777}, .target = "/dev/shm", .attributes = k_quiet});
    plan.push_back(
        {.source = KernelMount{"mqueue"}, .target = "/dev/mqueue", .attributes = k_quiet | MOUNT_ATTR_NOEXEC});
  } else {
    // The host's: ranks of one job on a node meet here, each in a container of its own perhaps.
    bind_host(plan, "/dev/shm", k_quiet, IfMissing::skip);
    bind_host(plan, "/dev/mqueue", k_quiet | MOUNT_ATTR_NOEXEC, IfMissing::skip);
  }
}

void add_host_files(std::vector<Mount>& plan) {
  // Not /etc/localtime: in images it is a link into the zone database, and what is bound there would lie about the zone
  // it leads to. TZ says it (environment.hpp).
  for (const char* file : {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/machine-id"}) {
    bind_host(plan, file, k_quiet | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, IfMissing::skip);
  }
}

// Directories whose content is the image's to give: a current directory in one of these is not brought along.
bool is_of_the_system(const std::filesystem::path& path) {
  constexpr std::array<const char*, 15> k_system{"/bin",  "/boot", "/dev", "/etc",  "/lib", "/lib32", "/lib64", "/opt",
                                                 "/proc", "/root", "/run", "/sbin", "/sys", "/usr",   "/var"};
  return path == "/" || path.empty() ||
         std::ranges::any_of(k_system, [&](const char* directory) { return is_below(path, directory); });
}

bool has_home(const Host& host, HomeMount home) {
  return home == HomeMount::yes && !host.home.empty() && host.home != "/";
}

// Scripts find their files: home, and where the user stands now.
void add_user_directories(std::vector<Mount>& plan, const Host& host, const BaseOptions& options) {
  bind_host(plan, "/tmp", k_quiet);
  if (has_home(host, options.home)) bind_host(plan, host.home, 0);
  const auto& here = host.current_directory;
  const bool is_there = is_below(here, "/tmp") || (has_home(host, options.home) && is_below(here, host.home));
  if (!is_there && sees_current_directory(host, options)) bind_host(plan, here, 0, IfMissing::skip);
}

// Whether a line "name:x:ID:…" (passwd(5), group(5)) has this id.
bool has_id(std::string_view database, unsigned id) {
  const std::string wanted = fmt::format("{}", id);
  for (std::size_t begin = 0; begin < database.size();) {
    const std::size_t end = std::min(database.find('\n', begin), database.size());
    const std::string_view line = database.substr(begin, end - begin);
    const std::size_t second = line.find(':', line.find(':') + 1);
    if (second != std::string_view::npos &&
        line.substr(second + 1, line.find(':', second + 1) - second - 1) == wanted) {
      return true;
    }
    begin = end + 1;
  }
  return false;
}

// A field of passwd(5) must not end the line or the field.
std::string field(std::string text) {
  std::erase_if(text, [](char c) { return c == ':' || static_cast<unsigned char>(c) < 0x20; });
  return text;
}

std::string user_name(const Host& host, const Identity& identity) {
  if (identity.uid == 0) return "root";
  return host.user_name.empty() ? "user" : host.user_name;
}

// `line` is called only where the entry is missing: looking around in an image takes time.
void add_entry(std::vector<Mount>& plan, const Rootfs& rootfs, const std::string& path, unsigned id,
               const std::function<std::string()>& line) {
  std::string content = rootfs.read(path, k_max_database_bytes).value_or("");
  if (has_id(content, id)) return;
  if (!content.empty() && content.back() != '\n') content += '\n';
  plan.push_back({.source = FileMount{content + line()}, .target = path, .attributes = k_quiet | MOUNT_ATTR_NOEXEC});
}

}  // namespace

std::vector<Mount> base_container(const Host& host, const BaseOptions& options) {
  std::vector<Mount> plan;
  add_kernel_filesystems(plan, options.own_namespaces);
  if (options.devices == DeviceDirectory::own) {
    add_own_devices(plan, host, options.own_namespaces);
  } else {
    bind_host(plan, "/dev", MOUNT_ATTR_NOSUID);
  }
  plan.push_back({.source = TmpfsMount{.mode = 0755}, .target = "/run", .attributes = k_quiet});
  plan.push_back({.source = DirectoryNode{.mode = 01777}, .target = "/run/lock"});
  add_host_files(plan);
  add_user_directories(plan, host, options);
  return plan;
}

bool sees_current_directory(const Host& host, const BaseOptions& options) {
  const auto& here = host.current_directory;
  if (has_home(host, options.home) && is_below(here, host.home)) return true;
  const bool is_in_hidden_home = !host.home.empty() && host.home != "/" && is_below(here, host.home);
  return !is_in_hidden_home && !is_of_the_system(here);
}

std::vector<Mount> user_entries(const Rootfs& rootfs, const Host& host, const Identity& identity) {
  std::vector<Mount> plan;
  add_entry(plan, rootfs, "/etc/passwd", identity.uid, [&] {
    const std::string shell = rootfs.find("/bin/bash", O_PATH) ? "/bin/bash" : "/bin/sh";
    const std::string home = identity.uid == 0 ? "/root" : host.home.empty() ? "/" : host.home.string();
    return fmt::format("{}:x:{}:{}::{}:{}\n", field(user_name(host, identity)), identity.uid, identity.gid, field(home),
                       shell);
  });
  add_entry(plan, rootfs, "/etc/group", identity.gid, [&] {
    const std::string& name = host.group_name.empty() ? host.user_name : host.group_name;
    return fmt::format("{}:x:{}:\n", field(identity.gid == 0 ? "root" : name.empty() ? "user" : name), identity.gid);
  });
  return plan;
}

}  // namespace mlctr::runtime
