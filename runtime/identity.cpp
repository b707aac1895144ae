#include "runtime/identity.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <cerrno>
#include <string>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr::runtime {
namespace {

std::string setting(const char* path) {
  try {
    std::string value = read_file(path, 64);
    value.erase(value.find_last_not_of('\n') + 1);
    return value;
  } catch (const Error&) {
    return "";  // this kernel has no such setting
  }
}

// Which knob is in the way, of those that distributions have.
std::string why_forbidden() {
  if (setting("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
    return "an admin can allow user namespaces: sysctl kernel.unprivileged_userns_clone=1";
  }
  if (setting("/proc/sys/user/max_user_namespaces") == "0") {
    return "an admin can allow user namespaces: sysctl user.max_user_namespaces=60000";
  }
  if (setting("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return "AppArmor forbids it (Ubuntu's default): an admin can add a profile for mlctr with `userns,` in it, or "
           "sysctl kernel.apparmor_restrict_unprivileged_userns=0";
  }
  return "user namespaces may be switched off here, or forbidden by the sandbox mlctr runs in";
}

[[noreturn]] void refuse(std::string_view action) {
  SysError error(action);  // before anything can change errno
  error.add_hint(why_forbidden());
  throw error;
}

void write_map(const char* path, const std::string& map) {
  const Fd file = open_file(path, O_WRONLY);
  if (::write(file.get(), map.data(), map.size()) != static_cast<ssize_t>(map.size())) {
    refuse(fmt::format("cannot write {}", path));
  }
}

}  // namespace

Identity current_identity(Remap remap) {
  Identity identity{.outer_uid = ::geteuid(), .outer_gid = ::getegid(), .uid = 0, .gid = 0};
  if (remap == Remap::none) {
    identity.uid = identity.outer_uid;
    identity.gid = identity.outer_gid;
  }
  return identity;
}

void enter_new_namespaces(const Identity& identity, int clone_flags) {
  if (::unshare(CLONE_NEWUSER | clone_flags) != 0) refuse("cannot make a user namespace");
  // An unprivileged gid_map is only taken once setgroups(2) is off (user_namespaces(7)).
  write_map("/proc/self/setgroups", "deny");
  write_map("/proc/self/uid_map", fmt::format("{} {} 1\n", identity.uid, identity.outer_uid));
  write_map("/proc/self/gid_map", fmt::format("{} {} 1\n", identity.gid, identity.outer_gid));
}

}  // namespace mlctr::runtime
