#include "runtime/container_members.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <limits.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

namespace mlctr::runtime {
namespace {

std::string namespace_path(pid_t pid, std::string_view kind) {
  return fmt::format("/proc/{}/ns/{}", pid, kind);
}

// Empty where there is no such process, or it is not ours to look at.
std::string namespace_id(const std::string& path) {
  std::array<char, PATH_MAX> target;
  const ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
  return size < 0 ? "" : std::string(target.data(), static_cast<std::size_t>(size));
}

std::vector<pid_t> all_pids() {
  std::vector<pid_t> pids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, mistake] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (mistake == std::errc{} && end == name.data() + name.size()) pids.push_back(pid);
  }
  return pids;
}

}  // namespace

ContainerMembers::ContainerMembers(pid_t founder)
    : mount_namespace_(namespace_id(namespace_path(founder, "mnt"))), known_{founder} {}

void ContainerMembers::add(pid_t pid) {
  std::erase_if(known_, [](pid_t known) { return namespace_id(namespace_path(known, "mnt")).empty(); });
  known_.push_back(pid);
}

bool ContainerMembers::is_inside(pid_t pid) const {
  return !mount_namespace_.empty() && namespace_id(namespace_path(pid, "mnt")) == mount_namespace_;
}

std::vector<pid_t> ContainerMembers::pids() const {
  std::vector<pid_t> inside;
  for (const pid_t pid : all_pids()) {
    if (is_inside(pid)) inside.push_back(pid);
  }
  return inside;
}

ContainerMembers::Namespaces ContainerMembers::namespaces() const {
  std::vector<pid_t> candidates = known_;
  if (std::ranges::none_of(known_, [this](pid_t pid) { return is_inside(pid); })) candidates = pids();
  for (const pid_t pid : candidates) {
    if (!is_inside(pid)) continue;
    Namespaces found;
    for (const char* kind : {"user", "mnt", "net", "ipc", "uts", "pid"}) {
      const std::string path = namespace_path(pid, kind);
      if (namespace_id(path) == namespace_id(fmt::format("/proc/self/ns/{}", kind))) continue;
      Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
      if (!fd) break;
      found.names.emplace_back(kind);
      found.fds.push_back(std::move(fd));
    }
    // A pid may have changed hands between the look and the open.
    if (found.names.size() >= 2 && is_inside(pid)) return found;
  }
  return {};
}

}  // namespace mlctr::runtime
