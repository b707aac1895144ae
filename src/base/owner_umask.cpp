#include "base/owner_umask.hpp"

#include <sys/stat.h>

#include <optional>

namespace mlctr {
namespace {

std::optional<mode_t> given_umask;  // what the session has, where it was changed: the kernel knows only what it is now

}  // namespace

void spare_owner_in_umask() {
  const mode_t before = ::umask(077);
  ::umask(before & ~static_cast<mode_t>(S_IRWXU));
  if ((before & S_IRWXU) != 0) given_umask = before;
}

void restore_umask() {
  if (given_umask) ::umask(*given_umask);
}

}  // namespace mlctr
