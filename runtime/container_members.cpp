#include "runtime/container_members.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/nsfs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>

#include "runtime/process_table.hpp"

namespace mlctr::runtime {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds k_patience_with_killed{5};  // one that waits in the kernel (NFS) may never end

ino_t number_of(const Fd& space) {
  struct stat status {};
  return space && ::fstat(space.get(), &status) == 0 ? status.st_ino : 0;
}

// The user namespace that a mount namespace belongs to, by its number; 0 where that can't be told.
ino_t owner_of(const Fd& mounts) {
  return number_of(Fd(mounts ? ::ioctl(mounts.get(), NS_GET_USERNS) : -1));
}

ino_t owner_of_mounts(pid_t pid) {
  return owner_of(Fd(::open(namespace_path(pid, "mnt").c_str(), O_RDONLY | O_CLOEXEC)));
}

}  // namespace

ContainerMembers::ContainerMembers(pid_t founder)
    : founder_(founder),
      mount_namespace_(namespace_id(founder, "mnt")),
      owner_(owner_of_mounts(founder)),
      known_{founder} {}

ContainerMembers::ContainerMembers(pid_t founder, const Fd& mounts)
    : founder_(founder),
      mount_namespace_(fmt::format("mnt:[{}]", number_of(mounts))),
      owner_(owner_of(mounts)),
      known_{founder} {}

void ContainerMembers::add(pid_t pid) {
  std::erase_if(known_, [](pid_t known) { return namespace_id(known, "mnt").empty(); });
  known_.push_back(pid);
}

bool ContainerMembers::is_inside(pid_t pid) const {
  return !mount_namespace_.empty() && namespace_id(pid, "mnt") == mount_namespace_ && owner_of_mounts(pid) == owner_;
}

std::vector<pid_t> ContainerMembers::pids() const {
  std::vector<pid_t> inside = all_pids();
  std::erase_if(inside, [this](pid_t pid) { return !is_inside(pid); });
  return inside;
}

void ContainerMembers::kill_all_but(pid_t spared) const {
  const auto deadline = Clock::now() + k_patience_with_killed;
  const auto others = [&] {
    std::vector<pid_t> inside = pids();
    std::erase(inside, spared);
    return inside;
  };
  // Again and again: one may have started another before it was killed.
  for (auto left = others(); !left.empty() && Clock::now() < deadline; left = others()) {
    for (const pid_t pid : left) {
      const Fd process = open_process(pid);
      if (!process || !is_inside(pid)) continue;  // its number is another's by now
      send_signal(process, SIGKILL);
      const auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
      wait_for_end(process, std::max(rest, std::chrono::milliseconds(0)));  // less would be for ever
    }
  }
}

ContainerMembers::Namespaces ContainerMembers::namespaces() const {
  std::vector<pid_t> candidates = known_;
  if (std::ranges::none_of(known_, [this](pid_t pid) { return is_inside(pid); })) candidates = pids();
  for (const pid_t pid : candidates) {
    if (!is_inside(pid)) continue;
    Namespaces found;
    for (const char* kind : {"user", "mnt", "net", "ipc", "uts", "pid"}) {
      if (namespace_id(pid, kind) == namespace_id(::getpid(), kind)) continue;
      Fd fd(::open(namespace_path(pid, kind).c_str(), O_RDONLY | O_CLOEXEC));
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
