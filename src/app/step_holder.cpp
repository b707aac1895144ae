#include "app/step_holder.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <nlohmann/json.hpp>

#include "app/runtime_directory.hpp"
#include "app/step_tasks.hpp"
#include "base/error.hpp"
#include "runtime/background.hpp"
#include "runtime/process_table.hpp"
#include "spank/hand_off.h"

namespace mlctr {
namespace {

// What tasks are told.
std::string to_text(const StepAnswer& answer) {
  return nlohmann::json{{"container", answer.container_socket}, {"last", answer.is_last}}.dump();
}

// What the holder's starter is told: {} or {"message", "hint"}.
std::string to_text(const Error& error) {
  const auto replace = nlohmann::json::error_handler_t::replace;  // a path in it need not be UTF-8
  return nlohmann::json{{"message", error.message()}, {"hint", error.hint()}}.dump(-1, ' ', false, replace);
}

void check_report(const std::optional<runtime::Message>& report) {
  if (!report) throw Error("the process that was to hold the step's container was killed");
  const auto json = nlohmann::json::parse(report->text);
  if (json.contains("message")) throw Error(json.at("message"), json.at("hint"));
}

// What a client that may ask asks; absent where it went away, or says nothing.
std::optional<runtime::Message> hear(const Fd& client) {
  const timeval patience{.tv_sec = 1, .tv_usec = 0};  // it must not stop the others
  ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  try {
    auto request = runtime::receive_message(client);
    if (!request || (request->sender_uid != ::getuid() && request->sender_uid != 0)) return std::nullopt;
    return request;
  } catch (const Error&) {
    return std::nullopt;
  }
}

void reply(const Fd& client, const StepAnswer& answer) {
  try {
    runtime::send_message(client, to_text(answer));
  } catch (const Error&) {
    // It went away; its own error is its to tell.
  }
}

// Answers whom it has to on the step's socket, until the step ends or needs it no more.
class StepDoor {
 public:
  /// `held` is empty where the container could not be made.
  StepDoor(runtime::ContainerSocket& place, const SlurmStep& step, const HeldContainer& held)
      : place_(place), step_(step), held_(held), tasks_(step.keeper) {}

  void serve(const Fd& keeper) {
    runtime::silence();
    runtime::ignore_signals();
    place_.serve_from_here();
    for (bool has_ended = !keeper; !has_ended && !is_done_;) {
      std::array<pollfd, 3> wanted{{{keeper.get(), POLLIN, 0}, {place_.fd(), POLLIN, 0}, {tasks_.fd(), POLLIN, 0}}};
      if (::poll(wanted.data(), wanted.size(), -1) < 0) continue;  // EINTR
      if (wanted[1].revents != 0) answer_one();
      has_ended = wanted[0].revents != 0 || (wanted[2].revents != 0 && tasks_.have_ended());
    }
    if (!held_.socket.empty() && tasks_.are_known()) end_what_tasks_left(step_, whose_container());
    place_.remove();
  }

 private:
  StepContainer whose_container() const {
    return id_of_unnamed(held_.socket) == held_.socket ? StepContainer::shared : StepContainer::of_step;
  }

  void answer_one() {
    const Fd client(::accept4(place_.fd(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!client) return;
    const auto request = hear(client);
    if (!request) return;
    if (request->text == MLCTR_ENTER_REQUEST) return let_in(client, *request);
    StepAnswer answer{.container_socket = held_.socket};
    if (request->text == k_ended) {
      answer.is_last = ++ended_ >= step_.local_tasks;
      is_done_ = answer.is_last;
    } else if (request->text == k_leave) {
      is_done_ = true;
    } else if (request->text != k_look && held_.socket.empty()) {
      is_done_ = ++told_ + 1 >= step_.local_tasks;  // the first task knows
    }
    reply(client, answer);
  }

  void let_in(const Fd& client, const runtime::Message& request) const {
    if (!held_.let_in || request.fds.size() != 1) return;
    try {
      held_.let_in(client, request.fds[0]);
    } catch (const std::exception&) {
      // The task sees the end of its connection, and has mlctr look what is the matter.
    }
  }

  runtime::ContainerSocket& place_;
  const SlurmStep& step_;
  const HeldContainer& held_;
  StepTasks tasks_;
  unsigned ended_ = 0, told_ = 0;
  bool is_done_ = false;
};

// A child of nobody's: no task finds a process that it did not start, nor waits for it.
void fork_background(const std::function<void()>& work) {
  const pid_t child = ::fork();
  if (child < 0) throw SysError("cannot start a process to hold the step's container");
  if (child == 0) {
    const pid_t grandchild = ::fork();
    if (grandchild != 0) ::_exit(grandchild < 0 ? 1 : 0);
    try {
      work();
    } catch (const std::exception&) {
      ::_exit(1);
    }
    ::_exit(0);
  }
  if (runtime::reap(child) != 0) throw SysError("cannot start a process to hold the step's container", EAGAIN);
}

// Whatever is said while the container is made is for the first task's standard error.
void leave_task(const char* process_name) {
  runtime::leave_session(process_name);
  runtime::close_inherited_descriptors();
  const Fd null = open_file("/dev/null", O_RDWR);
  ::dup2(null.get(), STDIN_FILENO);
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
}

// Whether the starter is there to hear it: its task may be killed while the container is made.
bool tell(const Fd& starter, const std::string& text) {
  try {
    runtime::send_message(starter, text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

// While the container is made the holder watches nothing, and must not outlive the step. A socket whose other end is
// closed sends SIGIO: the process that started it has ended. From then on it looks whether slurmstepd has other tasks,
// for whom the container is made as well; where it has none the holder ends, with what it has started (an entrypoint,
// for one) in the session that is its own.
class EndsWithStep {
 public:
  EndsWithStep(const Fd& starter, const SlurmStep& step, const runtime::ContainerSocket& place) : starter_(starter) {
    // By the thread that has them; proc(5).
    tasks_ = Fd(::open(fmt::format("/proc/{0}/task/{0}/children", step.keeper).c_str(), O_RDONLY | O_CLOEXEC));
    place_ = &place;
    ::signal(SIGALRM, [](int) { look(); });
    ::signal(SIGIO, [](int) {
      const itimerval often{.it_interval = {0, k_interval_us}, .it_value = {0, k_interval_us}};
      ::setitimer(ITIMER_REAL, &often, nullptr);
    });
    ::fcntl(starter_.get(), F_SETOWN, ::getpid());
    ::fcntl(starter_.get(), F_SETFL, O_ASYNC);
    pollfd now{starter_.get(), POLLIN, 0};
    if (::poll(&now, 1, 0) == 1) ::raise(SIGIO);  // it was gone before
  }
  EndsWithStep(const EndsWithStep&) = delete;
  EndsWithStep& operator=(const EndsWithStep&) = delete;
  ~EndsWithStep() {
    ::fcntl(starter_.get(), F_SETFL, 0);
    const itimerval never{};
    ::setitimer(ITIMER_REAL, &never, nullptr);
    for (const int signal : {SIGIO, SIGALRM}) ::signal(signal, SIG_DFL);
    tasks_.reset();
  }

 private:
  static constexpr int k_interval_us = 100'000;

  // In a signal's handler.
  static void look() {
    char first;
    if (tasks_ && ::pread(tasks_.get(), &first, 1, 0) == 1) return;
    ::unlinkat(place_->directory().get(), place_->name().c_str(), 0);
    ::kill(0, SIGKILL);
  }

  static inline Fd tasks_;
  static inline const runtime::ContainerSocket* place_ = nullptr;
  const Fd& starter_;
};

void be_holder(runtime::ContainerSocket& place, const SlurmStep& step, const Fd& keeper, const Fd& starter,
               const std::function<HeldContainer(const std::vector<int>&)>& make) {
  HeldContainer held;
  std::string failure;
  try {
    leave_task("mlctr-holder");
    const EndsWithStep watched(starter, step, place);
    held = make({place.fd(), starter.get()});
  } catch (const Error& error) {
    failure = to_text(error);
  } catch (const std::exception& error) {
    failure = to_text(Error(error.what()));
  }
  if (!failure.empty()) {
    if (!tell(starter, failure)) place.remove();  // the next task tries
    return;
  }
  tell(starter, "{}");  // whether it lives or not, the container is the other tasks' as well
  StepDoor(place, step, held).serve(keeper);
}

}  // namespace

std::vector<std::string> list_step_keys() {
  return runtime::list_container_sockets(open_step_directory().sockets);
}

std::optional<StepAnswer> ask_step(const std::string& key, std::string_view request) {
  const auto answer = runtime::ask_container(open_step_directory().sockets, key, request);
  if (!answer) return std::nullopt;
  const auto json = nlohmann::json::parse(answer->text);
  return StepAnswer{.container_socket = json.at("container"), .is_last = json.at("last")};
}

void start_step_holder(runtime::ContainerSocket& place, const SlurmStep& step,
                       const std::function<HeldContainer(const std::vector<int>&)>& make) {
  const Fd keeper = runtime::open_process(step.keeper);
  auto [ours, holders] = runtime::socket_pair();
  fork_background([&] {
    ours.reset();
    be_holder(place, step, keeper, holders, make);
  });
  holders.reset();
  check_report(runtime::receive_message(ours));
}

void tell_step_it_failed(runtime::ContainerSocket place, const SlurmStep& step) {
  if (step.local_tasks < 2) return place.remove();
  const Fd keeper = runtime::open_process(step.keeper);
  fork_background([&] {
    leave_task("mlctr-failed");
    StepDoor(place, step, HeldContainer{}).serve(keeper);
  });
}

}  // namespace mlctr
