// Where running containers are found: $MLCTR_RUNTIME_DIR, else $XDG_RUNTIME_DIR/mlctr, else /tmp/mlctr-<uid>. On the
// node, the user's alone, gone with a reboot.
//
//   <directory>/sockets/<name>    one a running container (runtime/container_socket.hpp)
//   <directory>/scratch/          empty; covered by each container's own tmpfs in its own view
//   <directory>/hooks/            empty; covered while hooks run, in their view alone; made when there are any
//   <directory>/lock              held while a socket is made
//   <directory>/steps/<key>       one a Slurm step that runs here (step_holder.hpp)
//   <directory>/steps.lock        the same for those
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/container_socket.hpp"

namespace mlctr {

struct RuntimeDirectory {
  std::filesystem::path sockets, scratch, hooks, lock;
};

/// Makes it where it is missing. Throws Error where it is another user's, or others may write to it.
RuntimeDirectory open_runtime_directory();

/// The same for the sockets of Slurm's steps; nothing else of it is there.
RuntimeDirectory open_step_directory();

/// `directory.hooks`, where it is missing.
void make_hook_directory(const RuntimeDirectory& directory);

/// A named container's socket: containers of one name in different stores are different ones.
std::string socket_name(const std::filesystem::path& container_root, std::string_view name);

/// An unnamed container's, and back; `id` is a number, mlctr's pid as a rule. No named container's socket is called so.
std::string unnamed_socket_name(std::string_view id);
std::string id_of_unnamed(const std::string& socket);

/// A socket to listen on, taken from a dead server where one had it; absent where somebody listens.
std::optional<runtime::ContainerSocket> try_take_socket(const RuntimeDirectory& directory, const std::string& name);

/// Removes the sockets that killed servers of unnamed containers left; a named one's tells the next who asks that its
/// server was killed (named_container.hpp).
void remove_dead_sockets(const RuntimeDirectory& directory);

/// The same of steps whose holders were killed.
void remove_dead_step_sockets();

}  // namespace mlctr
