// Where a running container can be reached: a Unix socket in the runtime directory, answered by its server
// (container_server.hpp). It takes one request a connection, as a word, and gives one message back:
//   describe   the description the container was started with, "mount_namespace" ("mnt:[4026532758]"), "pids" and
//              "first_has_ended" (true: its first program)
//   join       the same without those two; "namespaces" names those whose descriptors come with it, user and mount
//   first
//   stand by   the same as join, with all that another server needs to go on where this one is killed
//              (server_share.hpp)
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "runtime/message.hpp"

namespace mlctr::runtime {

inline constexpr std::string_view k_describe = "describe", k_join = "join", k_stand_by = "stand by";

inline bool asks_to_join(std::string_view request) {
  return request == k_join || request == k_stand_by;
}

/// A listening socket; removed from the directory by remove() alone, as two processes have it for a while.
class ContainerSocket {
 public:
  ContainerSocket() = default;
  /// Takes the place of a socket that nobody answers any more. Throws SysError (EADDRINUSE where one does).
  ContainerSocket(const std::filesystem::path& directory, std::string name);
  /// Another process's: its directory, its name there, what listens, the container's lock (empty: it has none).
  ContainerSocket(Fd directory, std::string name, Fd listener, Fd lock)
      : directory_(std::move(directory)),
        name_(std::move(name)),
        listener_(std::move(listener)),
        lock_(std::move(lock)) {}

  /// Held as long as the socket is (run_lock.hpp).
  void keep_lock(Fd lock) { lock_ = std::move(lock); }
  const Fd& lock() const noexcept { return lock_; }
  const Fd& directory() const noexcept { return directory_; }
  const std::string& name() const noexcept { return name_; }
  int fd() const noexcept { return listener_.get(); }
  explicit operator bool() const noexcept { return static_cast<bool>(listener_); }
  /// For a process that inherited it: whoever connects sees this one as its peer, and the lock says where it is.
  void serve_from_here() const;
  void remove() noexcept;

 private:
  Fd directory_;
  std::string name_;
  Fd listener_;
  Fd lock_;
};

/// Asks the container that listens in `directory` under `name`; absent where none does. Whoever wants to join waits
/// until the container is whole; a description comes at once or is an Error (it "does not
/// answer": its server is stopped).
std::optional<Message> ask_container(const std::filesystem::path& directory, const std::string& name,
                                     std::string_view request);

/// The same for an open directory, from wherever the caller is by now.
std::optional<Message> ask_container(const Fd& directory, const std::string& name, std::string_view request);

/// Whether a server listens there, answering or not.
bool has_server(const std::filesystem::path& directory, const std::string& name);

/// Removes the socket of a server that was killed; one that someone listens on stays. Nobody may be making a socket of
/// that name meanwhile.
void remove_dead_socket(const std::filesystem::path& directory, const std::string& name);

/// The names of the sockets in `directory`, answered or not.
std::vector<std::string> list_container_sockets(const std::filesystem::path& directory);

}  // namespace mlctr::runtime
