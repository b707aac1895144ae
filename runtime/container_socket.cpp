#include "runtime/container_socket.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/error.hpp"
#include "runtime/process_table.hpp"
#include "runtime/run_lock.hpp"

namespace mlctr::runtime {
namespace {

// All tasks of a node may ask before anybody answers, and who connects to a full queue waits, locks in hand.
constexpr int k_backlog = 4096;

// A socket's address holds 107 bytes of path, a directory's may be longer: through its descriptor it is short.
sockaddr_un address_of(const Fd& directory, const std::string& name) {
  const std::string path = fmt::format("/proc/self/fd/{}/{}", directory.get(), name);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw Error(fmt::format("the container's name {} is too long", name));
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  return address;
}

Fd new_socket() {
  Fd socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  if (!socket) throw SysError("cannot make a socket");
  const int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  return socket;
}

// Absent where nobody listens.
std::optional<Fd> connect(const Fd& directory, const std::string& name) {
  Fd socket = new_socket();
  const sockaddr_un address = address_of(directory, name);
  if (::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) return socket;
  if (errno == ECONNREFUSED || errno == ENOENT) return std::nullopt;
  throw SysError(fmt::format("cannot reach the container {}", name));
}

// Of the process that called listen(2) last (unix(7), SO_PEERCRED).
pid_t server_of(const Fd& socket) {
  ucred server{};
  socklen_t size = sizeof server;
  return ::getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &server, &size) == 0 ? server.pid : 0;
}

// To whom wants to join it a container answers once it is whole, which may take as long as an image takes to unpack; a
// stopped server never does.
std::optional<Message> wait_for_answer(const Fd& socket) {
  for (;;) {
    try {
      return receive_message(socket);
    } catch (const SysError& error) {
      if (error.errno_value() != EAGAIN || is_stopped(server_of(socket))) throw;
    }
  }
}

bool bind_to(const Fd& socket, const sockaddr_un& address) {
  return ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

ContainerSocket::ContainerSocket(const std::filesystem::path& directory, std::string name)
    : directory_(open_file(directory, O_PATH | O_DIRECTORY)), name_(std::move(name)), listener_(new_socket()) {
  const sockaddr_un address = address_of(directory_, name_);
  bool is_bound = bind_to(listener_, address);
  if (!is_bound && errno == EADDRINUSE && !connect(directory_, name_)) {
    ::unlinkat(directory_.get(), name_.c_str(), 0);  // a killed server's
    is_bound = bind_to(listener_, address);
  }
  if (!is_bound || ::listen(listener_.get(), k_backlog) != 0) {
    throw SysError(fmt::format("cannot listen in {}", directory.string()));
  }
}

void ContainerSocket::serve_from_here() const {
  if (listener_ && ::listen(listener_.get(), k_backlog) != 0) throw SysError("cannot listen for who joins");
  if (!lock_) return;
  std::error_code error;
  const auto directory = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", directory_.get()), error);
  if (!error) write_run_place(lock_, {::getpid(), directory});
}

void ContainerSocket::remove() noexcept {
  if (listener_) ::unlinkat(directory_.get(), name_.c_str(), 0);
  listener_.reset();
  if (lock_) clear_run_place(lock_);
  lock_.reset();
}

std::optional<Message> ask_container(const std::filesystem::path& directory, const std::string& name,
                                     std::string_view request) {
  const Fd socket_directory(::open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!socket_directory) return std::nullopt;
  return ask_container(socket_directory, name, request);
}

std::optional<Message> ask_container(const Fd& directory, const std::string& name, std::string_view request) {
  const auto socket = connect(directory, name);
  if (!socket) return std::nullopt;
  const timeval patience{.tv_sec = 5, .tv_usec = 0};
  ::setsockopt(socket->get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  try {
    send_message(*socket, request);
    return asks_to_join(request) ? wait_for_answer(*socket) : receive_message(*socket);
  } catch (const SysError& error) {
    // It ended this moment, or was killed with the question unread.
    if (error.errno_value() == EPIPE || error.errno_value() == ECONNRESET) return std::nullopt;
    if (error.errno_value() != EAGAIN) throw;
    throw Error(fmt::format("the server of the container {} does not answer", name),
                "if it is stopped, `pkill -CONT mlctr-server` lets it go on");
  }
}

bool has_server(const std::filesystem::path& directory, const std::string& name) {
  return connect(open_file(directory, O_PATH | O_DIRECTORY), name).has_value();
}

void remove_dead_socket(const std::filesystem::path& directory, const std::string& name) {
  const Fd socket_directory = open_file(directory, O_PATH | O_DIRECTORY);
  if (!connect(socket_directory, name)) ::unlinkat(socket_directory.get(), name.c_str(), 0);
}

std::vector<std::string> list_container_sockets(const std::filesystem::path& directory) {
  std::vector<std::string> names;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(directory, error)) {
    if (entry.is_socket(error)) names.push_back(entry.path().filename().string());
  }
  std::ranges::sort(names);
  return names;
}

}  // namespace mlctr::runtime
