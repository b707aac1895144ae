// Where running containers are found: $MLCTR_RUNTIME_DIR, else $XDG_RUNTIME_DIR/mlctr, else /tmp/mlctr-<uid>. On the
// node, the user's alone, gone with a reboot.
//
//   <directory>/sockets/<name>    one a running container (runtime/container_socket.hpp)
//   <directory>/scratch/          empty; covered by each container's own tmpfs in its own view
//   <directory>/lock              held while a socket is made
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace mlctr {

struct RuntimeDirectory {
  std::filesystem::path sockets, scratch, lock;
};

/// Makes it where it is missing. Throws Error where it is another user's, or others may write to it.
RuntimeDirectory open_runtime_directory();

/// A named container's socket: containers of one name in different stores are different ones.
std::string socket_name(const std::filesystem::path& container_root, std::string_view name);

}  // namespace mlctr
