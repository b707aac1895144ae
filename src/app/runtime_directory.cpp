#include "app/runtime_directory.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/path.hpp"

namespace mlctr {
namespace {

constexpr const char* k_choose = "set MLCTR_RUNTIME_DIR to a directory of your own on this node";

std::filesystem::path find_root() {
  if (const char* chosen = std::getenv("MLCTR_RUNTIME_DIR"); chosen != nullptr && *chosen != '\0') {
    return absolute_path(chosen);
  }
  // Of a login that has ended, or another user's (su): as good as not set.
  if (const char* session = std::getenv("XDG_RUNTIME_DIR"); session != nullptr && *session == '/') {
    struct stat status {};
    if (::stat(session, &status) == 0 && status.st_uid == ::geteuid()) return std::filesystem::path(session) / "mlctr";
  }
  return fmt::format("/tmp/mlctr-{}", ::geteuid());
}

void make_private(const std::filesystem::path& directory) {
  struct stat status {};
  if ((::mkdir(directory.c_str(), 0700) != 0 && errno != EEXIST) || ::lstat(directory.c_str(), &status) != 0) {
    SysError error(fmt::format("cannot make the runtime directory {}", directory.string()));
    error.add_hint(k_choose);
    throw error;
  }
  // In /tmp anyone may have been there first.
  if (!S_ISDIR(status.st_mode) || status.st_uid != ::geteuid() || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw Error(fmt::format("cannot trust the runtime directory {}: it is not yours alone", directory.string()),
                k_choose);
  }
}

constexpr std::string_view k_unnamed = ".run";

// One at a time finds out that nobody listens, and acts on it.
Fd lock_sockets(const RuntimeDirectory& directory) {
  Fd lock = open_file(directory.lock, O_RDWR | O_CREAT, 0600);
  if (::flock(lock.get(), LOCK_EX) != 0) throw SysError("cannot lock " + directory.lock.string());
  return lock;
}

}  // namespace

RuntimeDirectory open_runtime_directory() {
  const std::filesystem::path root = find_root();
  for (const auto& directory : {root, root / "sockets", root / "scratch"}) make_private(directory);
  return {.sockets = root / "sockets", .scratch = root / "scratch", .hooks = root / "hooks", .lock = root / "lock"};
}

RuntimeDirectory open_step_directory() {
  const std::filesystem::path root = find_root();
  for (const auto& directory : {root, root / "steps"}) make_private(directory);
  return {.sockets = root / "steps", .scratch = {}, .hooks = {}, .lock = root / "steps.lock"};
}

void make_hook_directory(const RuntimeDirectory& directory) {
  make_private(directory.hooks);
}

std::string socket_name(const std::filesystem::path& container_root, std::string_view name) {
  struct stat status {};
  if (::stat(container_root.c_str(), &status) != 0) throw SysError("cannot look at " + container_root.string());
  return fmt::format("{:x}-{:x}.{}", status.st_dev, status.st_ino, name);
}

std::string unnamed_socket_name(std::string_view id) {
  return fmt::format("{}{}", id, k_unnamed);
}

std::string id_of_unnamed(const std::string& socket) {
  return socket.ends_with(k_unnamed) ? socket.substr(0, socket.size() - k_unnamed.size()) : socket;
}

std::optional<runtime::ContainerSocket> try_take_socket(const RuntimeDirectory& directory, const std::string& name) {
  const Fd lock = lock_sockets(directory);
  try {
    return runtime::ContainerSocket(directory.sockets, name);
  } catch (const SysError& error) {
    if (error.errno_value() != EADDRINUSE) throw;
    return std::nullopt;
  }
}

void remove_dead_sockets(const RuntimeDirectory& directory) {
  const Fd lock = lock_sockets(directory);
  for (const std::string& name : runtime::list_container_sockets(directory.sockets)) {
    if (name.ends_with(k_unnamed)) runtime::remove_dead_socket(directory.sockets, name);
  }
}

void remove_dead_step_sockets() {
  if (std::error_code error; !std::filesystem::exists(find_root() / "steps", error)) return;
  const RuntimeDirectory steps = open_step_directory();
  const Fd lock = lock_sockets(steps);
  for (const std::string& name : runtime::list_container_sockets(steps.sockets)) {
    runtime::remove_dead_socket(steps.sockets, name);
  }
}

}  // namespace mlctr
