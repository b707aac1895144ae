#include "base/thread.hpp"

#include <fmt/format.h>

#include "base/error.hpp"

namespace mlctr {

void throw_no_thread(std::string_view purpose, const std::system_error& cause) {
  // EAGAIN is all that pthread_create says, of too many processes (-u) and of too little address space (-v) alike.
  throw Error(fmt::format("cannot start a thread to {}: {}", purpose, cause.code().message()),
              "this session's limits are too low: look at ulimit -u and ulimit -v");
}

SignalsBlocked::SignalsBlocked() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before_);
}

SignalsBlocked::~SignalsBlocked() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

}  // namespace mlctr
