#include "app/step_holder.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <limits>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "runtime/background.hpp"
#include "runtime/process_table.hpp"

namespace mlctr {
namespace {

// What tasks are told.
std::string to_text(const StepAnswer& answer) {
  return nlohmann::json{{"container", answer.container_socket}}.dump();
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

bool answer_one(int listener, const std::string& text) {
  const Fd client(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
  if (!client) return false;
  const timeval patience{.tv_sec = 1, .tv_usec = 0};  // a client that says nothing must not stop the others
  ::setsockopt(client.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  try {
    const auto request = runtime::receive_message(client);
    if (!request || (request->sender_uid != ::getuid() && request->sender_uid != 0)) return false;
    runtime::send_message(client, text);
    return true;
  } catch (const Error&) {
    return false;  // the client went away; its own error is its to tell
  }
}

// Until the step ends, or `most` have asked.
void serve(runtime::ContainerSocket& place, const Fd& keeper, const std::string& text, unsigned most) {
  place.serve_from_here();
  for (bool has_ended = !keeper; !has_ended && most > 0;) {
    std::array<pollfd, 2> wanted{{{keeper.get(), POLLIN, 0}, {place.fd(), POLLIN, 0}}};
    if (::poll(wanted.data(), wanted.size(), -1) < 0) continue;  // EINTR
    if (wanted[1].revents != 0 && answer_one(place.fd(), text)) --most;
    has_ended = wanted[0].revents != 0;
  }
  place.remove();
}

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
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
}

void be_holder(runtime::ContainerSocket& place, const Fd& keeper, const Fd& starter,
               const std::function<std::string(const std::vector<int>&)>& make) {
  StepAnswer answer;
  try {
    leave_task("mlctr-holder");
    answer.container_socket = make({place.fd(), starter.get()});
  } catch (const Error& error) {
    return runtime::send_message(starter, to_text(error));
  } catch (const std::exception& error) {
    return runtime::send_message(starter, to_text(Error(error.what())));
  }
  runtime::silence();
  runtime::send_message(starter, "{}");
  serve(place, keeper, to_text(answer), std::numeric_limits<unsigned>::max());
}

}  // namespace

StepAnswer parse_step_answer(const std::string& text) {
  return {.container_socket = nlohmann::json::parse(text).at("container")};
}

void start_step_holder(runtime::ContainerSocket& place, const SlurmStep& step,
                       const std::function<std::string(const std::vector<int>&)>& make) {
  const Fd keeper = runtime::open_process(step.keeper);
  auto [ours, holders] = runtime::socket_pair();
  fork_background([&] {
    ours.reset();
    be_holder(place, keeper, holders, make);
  });
  holders.reset();
  check_report(runtime::receive_message(ours));
}

void tell_step_it_failed(runtime::ContainerSocket place, const SlurmStep& step) {
  if (step.local_tasks < 2) return place.remove();
  const Fd keeper = runtime::open_process(step.keeper);
  fork_background([&] {
    leave_task("mlctr-failed");
    runtime::silence();
    serve(place, keeper, to_text(StepAnswer{}), step.local_tasks - 1);
  });
}

}  // namespace mlctr
