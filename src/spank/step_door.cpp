#include "spank/step_door.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace mlctr::spank {
namespace {

constexpr long k_millisecond_ns = 1'000'000;
// All tasks of a node begin at once: the first one's mlctr has to be there before there is a door.
constexpr int k_patience_ms = 2000;

/// Where Slurm follows processes by their parents (proctrack/linuxproc) it spares those that are called slurmstepd: one
/// that waits is to end with its step. mlctr is told by that name where its task is.
class OtherName {
 public:
  OtherName() {
    ::prctl(PR_GET_NAME, before_.data());
    ::prctl(PR_SET_NAME, "mlctr-wait");
  }
  OtherName(const OtherName&) = delete;
  OtherName& operator=(const OtherName&) = delete;
  ~OtherName() { ::prctl(PR_SET_NAME, before_.data()); }

 private:
  std::array<char, 16> before_{};
};

const char* value_of(const char* name, char* const* environment, const char* otherwise) {
  const std::size_t length = std::strlen(name);
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    if (std::strncmp(*environment, name, length) == 0 && (*environment)[length] == '=') {
      return *environment + length + 1;
    }
  }
  return otherwise;
}

/// Text of a path, of a length that a socket's address can have.
struct Path {
  std::array<char, sizeof(sockaddr_un::sun_path)> text{};
  bool is_too_long = false;

  [[gnu::format(printf, 2, 3)]] bool append(const char* format, ...) {
    const std::size_t used = std::strlen(text.data());
    std::va_list arguments;
    va_start(arguments, format);
    const int more = std::vsnprintf(text.data() + used, text.size() - used, format, arguments);
    va_end(arguments);
    is_too_long = more < 0 || used + static_cast<std::size_t>(more) >= text.size();
    return !is_too_long;
  }
};

/// As mlctr finds its runtime directory (src/app/runtime_directory.cpp).
bool find_runtime_directory(char* const* environment, Path& path) {
  const char* const chosen = value_of("MLCTR_RUNTIME_DIR", environment, "");
  if (*chosen != '\0') return *chosen == '/' && path.append("%s", chosen);
  const char* const session = value_of("XDG_RUNTIME_DIR", environment, "");
  struct stat status;
  if (*session == '/' && ::stat(session, &status) == 0 && status.st_uid == ::geteuid()) {
    return path.append("%s/mlctr", session);
  }
  return path.append("/tmp/mlctr-%u", ::geteuid());
}

/// In /tmp anyone may have been there first.
bool is_ours_alone(const Path& path) {
  struct stat status;
  return ::lstat(path.text.data(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::geteuid() &&
         (status.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/// As mlctr calls the step's socket (key_of in src/app/slurm_step.cpp); empty where the step has no such name. A slash
/// is in no name of mlctr's.
struct DoorName {
  std::array<char, 64> text{};

  explicit DoorName(char* const* environment) {
    const std::array<const char*, 3> ids{value_of("SLURM_JOB_ID", environment, ""),
                                         value_of("SLURM_STEP_ID", environment, "batch"),
                                         value_of("SLURM_RESTART_COUNT", environment, "0")};
    for (const char* id : ids) {
      if (*id == '\0' || std::strchr(id, '/') != nullptr) return;
    }
    const int length = std::snprintf(text.data(), text.size(), "%s.%s.%s-%d", ids[0], ids[1], ids[2], ::getppid());
    if (length < 0 || static_cast<std::size_t>(length) >= text.size()) text[0] = '\0';
  }
};

/// Both directories are there with the first step of a user's on a node.
bool find_door(const DoorName& name, char* const* environment, Path& path) {
  return find_runtime_directory(environment, path) && is_ours_alone(path) && path.append("/steps") &&
         is_ours_alone(path) && path.append("/%s", name.text.data());
}

/// Nothing where nobody listens.
Descriptor knock(const Path& path) {
  Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, path.text.data(), path.text.size());
  if (socket && ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0)
    return socket;
  return {};
}

/// The first task of a node has mlctr make what the others wait for.
Descriptor wait_for_door(TaskOrder order, char* const* environment) {
  const DoorName name(environment);
  if (name.text[0] == '\0') return {};
  for (int waited_ms = 0;; ++waited_ms) {
    Path path;
    Descriptor socket = find_door(name, environment, path) ? knock(path) : Descriptor();
    if (socket || order == TaskOrder::first || path.is_too_long || waited_ms == k_patience_ms) return socket;
    const timespec pause{.tv_sec = 0, .tv_nsec = k_millisecond_ns};
    ::nanosleep(&pause, nullptr);
  }
}

/// Each variable with its NUL.
Descriptor write_down(char* const* environment) {
  Descriptor file(::memfd_create("mlctr-environment", MFD_CLOEXEC));
  for (; file && environment != nullptr && *environment != nullptr; ++environment) {
    const std::size_t size = std::strlen(*environment) + 1;
    if (::write(file.get(), *environment, size) != static_cast<ssize_t>(size)) return {};
  }
  return file;
}

bool send_request(const Descriptor& socket, const Descriptor& file) {
  iovec text{.iov_base = const_cast<char*>(MLCTR_ENTER_REQUEST), .iov_len = std::strlen(MLCTR_ENTER_REQUEST)};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &text;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(sizeof(int));
  const int fd = file.get();
  std::memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
  return ::sendmsg(socket.get(), &header, MSG_NOSIGNAL) >= 0;
}

}  // namespace

HandOff ask_holder(TaskOrder order, char* const* environment) {
  HandOff none;
  none.failure = failed("no holder lets the task in");
  const OtherName while_waiting;
  const Descriptor socket = wait_for_door(order, environment);
  if (!socket) return none;
  const Descriptor file = write_down(environment);
  if (!file || !send_request(socket, file)) return none;
  pollfd answer{.fd = socket.get(), .events = POLLIN, .revents = 0};
  while (::poll(&answer, 1, -1) < 0) {
    if (errno != EINTR) return none;
  }
  return take_hand_off(socket.get());
}

}  // namespace mlctr::spank
