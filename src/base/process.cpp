#include "base/process.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/fd.hpp"

extern char** environ;

namespace mlctr {
namespace {

using Clock = std::chrono::steady_clock;

// What mlctr blocks and ignores for itself (^C has a thread, a closed pipe is an answer) would be inherited: a helper
// must end by both as it does from a shell.
class SpawnSignals {
 public:
  SpawnSignals() {
    sigset_t none, broken_pipe;
    sigemptyset(&none);
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    posix_spawnattr_init(&attributes_);
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &broken_pipe);
    posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSignals() { posix_spawnattr_destroy(&attributes_); }
  SpawnSignals(const SpawnSignals&) = delete;
  SpawnSignals& operator=(const SpawnSignals&) = delete;
  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_{};
};

// A started child: killed and reaped by the destructor unless wait() was reached.
class Child {
 public:
  Child(const ProcessCommand& command, const Pipe& in, const Pipe& out, const Pipe& err) {
    std::vector<char*> argv;
    for (const std::string& argument : command.arguments) argv.push_back(const_cast<char*>(argument.c_str()));
    argv.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, in.read_end.get(), 0);
    posix_spawn_file_actions_adddup2(&actions, out.write_end.get(), 1);
    posix_spawn_file_actions_adddup2(&actions, err.write_end.get(), 2);
    const SpawnSignals signals;
    const int failure = ::posix_spawnp(&pid_, argv[0], &actions, signals.get(), argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failure != 0) throw SysError("cannot run " + command.arguments[0], failure);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }

  int wait() {
    int status = 0;
    while (::waitpid(pid_, &status, 0) < 0) {
      if (errno != EINTR) throw SysError("cannot wait for a helper program");
    }
    pid_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  pid_t pid_ = -1;
};

// Feeds `input` and collects both outputs until the child has closed them.
class Conversation {
 public:
  Conversation(const ProcessCommand& command, Fd in, Fd out, Fd err)
      : command_(command),
        deadline_(Clock::now() + command.timeout),
        in_(std::move(in)),
        out_(std::move(out)),
        err_(std::move(err)) {
    // A child that reads no further must not stall us.
    ::fcntl(in_.get(), F_SETFL, O_NONBLOCK);
    if (command_.standard_input.empty()) in_.reset();
  }

  void hold(ProcessResult& result) {
    while (out_ || err_) {
      pollfd polled[3] = {{in_.get(), POLLOUT, 0}, {out_.get(), POLLIN, 0}, {err_.get(), POLLIN, 0}};
      const int ready = ::poll(polled, 3, milliseconds_left());
      if (ready < 0 && errno != EINTR) throw SysError("cannot wait for " + command_.arguments[0]);
      if (ready <= 0) continue;
      if (polled[0].revents != 0) feed();
      if (polled[1].revents != 0) collect(out_, result.standard_output);
      if (polled[2].revents != 0) collect(err_, result.standard_error);
    }
  }

 private:
  int milliseconds_left() const {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now()).count();
    if (left <= 0) {
      throw Error(fmt::format("{} did not end within {} s", command_.arguments[0], command_.timeout.count()));
    }
    return static_cast<int>(left);
  }

  void feed() {
    const ssize_t put =
        ::write(in_.get(), command_.standard_input.data() + fed_, command_.standard_input.size() - fed_);
    if (put > 0) fed_ += static_cast<std::size_t>(put);
    // EPIPE: a helper that does not read its input may still answer.
    if (fed_ == command_.standard_input.size() || (put < 0 && errno != EAGAIN && errno != EINTR)) in_.reset();
  }

  void collect(Fd& from, std::string& into) {
    char buffer[4096];
    const ssize_t got = ::read(from.get(), buffer, sizeof buffer);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) return;
    if (got <= 0) return from.reset();
    into.append(buffer, static_cast<std::size_t>(got));
    if (into.size() > command_.max_output_bytes) throw Error(command_.arguments[0] + " printed too much");
  }

  const ProcessCommand& command_;
  Clock::time_point deadline_;
  Fd in_, out_, err_;
  std::size_t fed_ = 0;
};

}  // namespace

ProcessResult run_process(const ProcessCommand& command) {
  Pipe in = make_pipe();
  Pipe out = make_pipe();
  Pipe err = make_pipe();
  Child child(command, in, out, err);
  in.read_end.reset();
  out.write_end.reset();
  err.write_end.reset();

  ProcessResult result;
  Conversation(command, std::move(in.write_end), std::move(out.read_end), std::move(err.read_end)).hold(result);
  result.exit_code = child.wait();
  return result;
}

}  // namespace mlctr
