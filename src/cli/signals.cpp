#include "cli/signals.hpp"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>

#include "base/fd.hpp"
#include "base/thread.hpp"
#include "cli/terminal.hpp"

namespace mlctr::cli {
namespace {

constexpr std::array k_watched{SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP};

// A blocked signal is delivered to a signalfd even where its disposition is "ignore"; so those must stay out.
bool is_ignored(int signal_number) {
  struct sigaction now {};
  return ::sigaction(signal_number, nullptr, &now) == 0 && now.sa_handler == SIG_IGN;
}

sigset_t watched_set() {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal_number : k_watched) {
    if (!is_ignored(signal_number)) sigaddset(&set, signal_number);
  }
  return set;
}

// Stops as ^Z does by default. The signal itself must do it, in this thread: SIGSTOP would stop us also where no shell
// is left to let us go on, and would reach this thread at a time of its own.
void suspend() {
  const RestoredTerminal terminal;
  sigset_t stop;
  sigemptyset(&stop);
  sigaddset(&stop, SIGTSTP);
  ::pthread_sigmask(SIG_UNBLOCK, &stop, nullptr);
  ::raise(SIGTSTP);
  ::pthread_sigmask(SIG_BLOCK, &stop, nullptr);
}

// Blocks the watched signals in this thread and those it starts; gives the mask back at the end.
class BlockedSignals {
 public:
  explicit BlockedSignals(const sigset_t& set) { ::pthread_sigmask(SIG_BLOCK, &set, &before_); }
  ~BlockedSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_{};
};

class SignalWatch {
 public:
  SignalWatch()
      : set_(watched_set()),
        blocked_(set_),
        signals_(::signalfd(-1, &set_, SFD_CLOEXEC)),
        ending_(::eventfd(0, EFD_CLOEXEC)) {
    if (!signals_ || !ending_) throw SysError("cannot watch for signals");
    thread_ = start_thread("watch for signals", [this] { watch(); });
  }
  ~SignalWatch() {
    ::eventfd_write(ending_.get(), 1);
    thread_.join();
  }
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;

  std::stop_token token() const { return stop_.get_token(); }
  int received() const { return received_; }

 private:
  void watch() {
    for (;;) {
      std::array<pollfd, 2> polled{{{signals_.get(), POLLIN, 0}, {ending_.get(), POLLIN, 0}}};
      if (::poll(polled.data(), polled.size(), -1) < 0) continue;
      if (polled[1].revents != 0) return;
      signalfd_siginfo info{};
      if (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
        handle(static_cast<int>(info.ssi_signo));
      }
    }
  }

  void handle(int signal_number) {
    if (signal_number == SIGTSTP) return suspend();
    // A task of Slurm's that is told to end gets SIGTERM twice where its parent ends of it as well.
    const bool is_impatience = received_ != 0 && signal_number == SIGINT;
    if (received_ != 0 && !is_impatience && signal_number != SIGQUIT) return;
    if (signal_number == SIGQUIT || is_impatience) {
      restore_terminal();
      if (signal_number == SIGQUIT) die_of_signal(SIGQUIT);
      ::_exit(130);  // the one exit outside main: unwinding is what the user no longer waits for
    }
    received_ = signal_number;
    stop_.request_stop();
  }

  sigset_t set_;
  BlockedSignals blocked_;
  Fd signals_, ending_;
  std::stop_source stop_;
  std::atomic<int> received_{0};
  std::jthread thread_;
};

}  // namespace

StoppedBySignal::StoppedBySignal(int signal_number, std::string_view what_is_left) : signal_number_(signal_number) {
  add_hint(what_is_left);
}

void run_stoppable(const std::function<void(std::stop_token)>& action, std::string_view what_is_left) {
  SignalWatch watch;
  try {
    action(watch.token());
  } catch (const Cancelled&) {
    throw StoppedBySignal(watch.received() == 0 ? SIGINT : watch.received(), what_is_left);
  }
}

void die_of_signal(int signal_number) {
  ::signal(signal_number, SIG_DFL);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, signal_number);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::raise(signal_number);
  ::_exit(128 + signal_number);  // a namespace's first process is not killed by its own signal
}

}  // namespace mlctr::cli
