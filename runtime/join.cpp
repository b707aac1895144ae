#include "runtime/join.hpp"

#include <sched.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace mlctr::runtime {

void join_container(const Message& answer, Remap remap) {
  const auto outer = current_identity(remap);
  if (answer.fds.empty()) throw Error("the container has ended");
  // The user namespace comes first, as the right to enter the others is in it; the mount namespace takes the host's
  // files away. The server sends them in this order.
  for (const Fd& fd : answer.fds) {
    if (::setns(fd.get(), 0) != 0) throw SysError("cannot enter a namespace of the container");
  }
  const uid_t wanted = remap == Remap::root ? 0 : outer.outer_uid;
  if (::geteuid() == wanted) return;
  enter_new_namespaces({.outer_uid = ::geteuid(), .outer_gid = ::getegid(), .uid = outer.uid, .gid = outer.gid}, 0);
}

}  // namespace mlctr::runtime
