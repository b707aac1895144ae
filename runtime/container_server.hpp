// The process behind a container, outside its namespaces: serves its images through FUSE and lets others in. Nothing
// ends it but the container's end: the kernel takes the mounts away with the last process that sees them, and the
// server has nothing left to serve. Slurm, though, kills it with the step that it is of: each other step in a named
// container has a server that stands by.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "runtime/container_socket.hpp"
#include "runtime/identity.hpp"
#include "runtime/container_members.hpp"
#include "runtime/image_server.hpp"
#include "runtime/server_share.hpp"

namespace mlctr::runtime {

struct ServerSetup {
  std::vector<ServedImage> images{};
  ImageServerOptions options;
  /// Numbers of images, in a row: layer files, whose marks the overlay they are a part of shall see.
  std::size_t first_layer = 0, end_of_layers = 0;
  ContainerSocket socket{};          ///< where others ask to be let in; may be empty
  std::string description;           ///< a JSON object: what `mlctr ps` shows
  std::function<void()> at_end{};    ///< called when the container is gone, or never came to be
  std::vector<int> not_inherited{};  ///< descriptors of the caller's that the server must not keep open
};

class ContainerServer {
 public:
  /// Forks: call it in a single-threaded process. The server is nobody's child, so that the container's program finds
  /// no process it did not start. Descriptors without O_CLOEXEC are closed in it, standard ones lead to /dev/null.
  static ContainerServer start(ServerSetup setup);

  /// The same for one that goes on where the container's server is killed, and until then does nothing; `members`
  /// counts the caller in. It ends with what is returned, unless it serves by then.
  static Fd stand_by(ServerSetup setup, ServedContainer served, ContainerMembers members);

  /// Mounts images[number] from inside the user namespace of the container, attached nowhere yet. Throws NoFuse.
  Fd mount_image(std::size_t number, const Identity& identity) const;

  /// For a container that not (only) served images keep alive: the server stays until the filesystem of `scratch` is
  /// gone, and keeps `in_use` open as long.
  void hold(const Fd& scratch, const std::vector<Fd>& in_use) const;

  /// Adds members to the description, or replaces them: a JSON object.
  void describe(std::string_view members) const;

  /// The container is whole: others may join. Until then they wait.
  void open_door() const;

 private:
  explicit ContainerServer(Fd socket) : socket_(std::move(socket)) {}
  Fd socket_;
};

}  // namespace mlctr::runtime
