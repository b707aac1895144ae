// The processes of a container as its server knows them: who started it and who joined, and, once those are gone, who
// else is found in its mount namespace. The server must not hold the namespaces themselves: they would never end.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/fd.hpp"

namespace mlctr::runtime {

class ContainerMembers {
 public:
  /// `founder` is in the container's mount namespace now.
  explicit ContainerMembers(pid_t founder);
  /// `founder` is about to enter the mount namespace `mounts`.
  ContainerMembers(pid_t founder, const Fd& mounts);

  /// A process that is about to join.
  void add(pid_t pid);

  /// Whether the container's first program is still there.
  bool has_founder() const { return is_inside(founder_); }

  /// As /proc/PID/ns/mnt reads for each of them: "mnt:[4026532758]".
  const std::string& mount_namespace() const noexcept { return mount_namespace_; }

  /// Those that are inside now; looks at every process of the machine.
  std::vector<pid_t> pids() const;

  /// Ends all that are inside but `spared`, and waits for it; gives up on what does not end within seconds.
  void kill_all_but(pid_t spared) const;

  /// Descriptors of one member's user and mount namespaces, then of each other namespace of it that differs from the
  /// caller's ("net", "ipc", "uts", "pid"); names[i] says which namespace fds[i] is. Empty where nobody is inside any
  /// more.
  struct Namespaces {
    std::vector<std::string> names;
    std::vector<Fd> fds;
  };
  Namespaces namespaces() const;

 private:
  bool is_inside(pid_t pid) const;

  pid_t founder_;
  std::string mount_namespace_;  // "mnt:[4026532758]", namespaces(7)
  ino_t owner_;                  // the user namespace it belongs to: the kernel gives numbers anew, but hardly both
  std::vector<pid_t> known_;
};

}  // namespace mlctr::runtime
