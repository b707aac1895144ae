// Threads that start, or say why they can't and what to do about it.
#pragma once

#include <signal.h>

#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

namespace mlctr {

/// `purpose` completes "cannot start a thread to …". The hint names the limits that login nodes set.
[[noreturn]] void throw_no_thread(std::string_view purpose, const std::system_error& cause);

/// Blocks all signals in this thread, and so in those it starts meanwhile: signals belong to the program's own threads,
/// and a worker's write to a closed socket must not raise SIGPIPE.
class SignalsBlocked {
 public:
  SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  ~SignalsBlocked();

 private:
  sigset_t before_;
};

/// A std::jthread, whose only message of its own would be "Resource temporarily unavailable". Throws Error.
template <class... Work>
[[nodiscard]] std::jthread start_thread(std::string_view purpose, Work&&... work) try {
  return std::jthread(std::forward<Work>(work)...);
} catch (const std::system_error& error) {
  throw_no_thread(purpose, error);
}

}  // namespace mlctr
