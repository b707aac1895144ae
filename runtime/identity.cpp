#include "runtime/identity.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "runtime/obstacle.hpp"

namespace mlctr::runtime {
namespace {

[[noreturn]] void refuse(std::string_view action) {
  SysError error(action);  // before anything can change errno
  error.add_hint(why_no_user_namespace(error.errno_value()).hint());
  throw error;
}

void write_map(const char* path, const std::string& map) {
  // Where AppArmor is in the way the namespace comes to be, but has no rights: it shows here first.
  const Fd file(::open(path, O_WRONLY | O_CLOEXEC));
  if (!file || ::write(file.get(), map.data(), map.size()) != static_cast<ssize_t>(map.size())) {
    refuse(fmt::format("cannot write {}", path));
  }
}

}  // namespace

Identity identity_of(uid_t uid, gid_t gid, Remap remap) {
  Identity identity{.outer_uid = uid, .outer_gid = gid, .uid = 0, .gid = 0};
  if (remap == Remap::none) {
    identity.uid = identity.outer_uid;
    identity.gid = identity.outer_gid;
  }
  return identity;
}

Identity current_identity(Remap remap) {
  return identity_of(::geteuid(), ::getegid(), remap);
}

void enter_new_namespaces(const Identity& identity, int clone_flags) {
  if (::unshare(CLONE_NEWUSER | clone_flags) != 0) refuse("cannot make a user namespace");
  // An unprivileged gid_map is only taken once setgroups(2) is off (user_namespaces(7)).
  write_map("/proc/self/setgroups", "deny");
  write_map("/proc/self/uid_map", fmt::format("{} {} 1\n", identity.uid, identity.outer_uid));
  write_map("/proc/self/gid_map", fmt::format("{} {} 1\n", identity.gid, identity.outer_gid));
}

}  // namespace mlctr::runtime
