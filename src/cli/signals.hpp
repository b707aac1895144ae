// Signals that ask a long command to stop, taken by a thread of their own and turned into a stop request.
#pragma once

#include <csignal>
#include <functional>
#include <stop_token>

#include "base/error.hpp"

namespace mlctr::cli {

/// A signal ended the command after it had put everything in order. The hint says what is left of its work.
class StoppedBySignal : public Cancelled {
 public:
  StoppedBySignal(int signal_number, std::string_view what_is_left);
  int signal_number() const noexcept { return signal_number_; }

 private:
  int signal_number_;
};

/// Runs `action` with a token that SIGINT, SIGTERM and SIGHUP stop (those of them that were not ignored already, as
/// nohup does); a second SIGINT ends the process at once with 130. ^Z puts the terminal in order first. Call it while
/// the process has one thread: the signals are blocked in all that start later. Throws StoppedBySignal for Cancelled
/// from `action`.
void run_stoppable(const std::function<void(std::stop_token)>& action, std::string_view what_is_left);

/// Ends the process as the signal would have, so that a shell's loop or script around it stops as well.
[[noreturn]] void die_of_signal(int signal_number);

}  // namespace mlctr::cli
