// The plugin where a step's holder lets tasks in: without a process of mlctr's, which is asked wherever that goes
// wrong.
#include <doctest/doctest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "plugin_process.hpp"
#include "temporary_directory.hpp"

using namespace mlctr::test;

namespace {

const std::vector<std::string> k_no_mlctr{"mlctr=/nonexistent/mlctr"};
const std::vector<std::string> k_fake_beside_door{"mlctr=" FAKE_MLCTR};

/// Answers one task as fake_mlctr does in the task's environment, with FAKE set to `answer`; "closes" and "garbage" are
/// its own.
class Door {
 public:
  Door(const std::filesystem::path& runtime, const std::string& answer, unsigned opens_after_ms = 0) {
    // This process is slurmstepd to the task.
    const std::filesystem::path socket = runtime / "steps" / ("7.0.0-" + std::to_string(::getpid()));
    child_ = ::fork();
    if (child_ == 0) serve(socket, answer, opens_after_ms);
    for (int i = 0; opens_after_ms == 0 && i < 5000 && !std::filesystem::exists(socket); ++i) ::usleep(1000);
  }
  Door(const Door&) = delete;
  Door& operator=(const Door&) = delete;
  ~Door() {
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
  }

 private:
  [[noreturn]] static void serve(const std::filesystem::path& socket, const std::string& answer,
                                 unsigned opens_after_ms) {
    ::usleep(opens_after_ms * 1000);
    std::filesystem::create_directory(socket.parent_path());
    const int listener = ::socket(AF_UNIX, SOCK_SEQPACKET, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket.c_str(), sizeof(address.sun_path) - 1);
    if (::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) ::_exit(1);
    if (::listen(listener, 8) != 0) ::_exit(1);
    const int client = ::accept(listener, nullptr, nullptr);
    char request[64];
    const std::string environment = receive(client, request);
    if (std::strcmp(request, "enter") != 0 || answer == "closes") ::_exit(1);
    if (answer == "garbage") {
      [[maybe_unused]] const auto sent = ::send(client, "{}", 2, 0);
      ::_exit(1);
    }
    ::dup2(client, 3);
    ::clearenv();
    for (std::size_t at = 0; at < environment.size(); at += std::strlen(environment.c_str() + at) + 1) {
      ::putenv(::strdup(environment.c_str() + at));
    }
    ::setenv("FAKE", answer.c_str(), 1);
    ::execl(FAKE_MLCTR, "mlctr", "step", "enter", nullptr);
    ::_exit(1);
  }

  static std::string receive(int client, char (&request)[64]) {
    iovec text{.iov_base = request, .iov_len = sizeof(request) - 1};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr header{};
    header.msg_iov = &text;
    header.msg_iovlen = 1;
    header.msg_control = control;
    header.msg_controllen = sizeof(control);
    const ssize_t size = ::recvmsg(client, &header, 0);
    if (size < 0 || CMSG_FIRSTHDR(&header) == nullptr) ::_exit(1);
    request[size] = '\0';
    int file = -1;
    std::memcpy(&file, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(file));
    std::ostringstream environment;
    environment << std::ifstream("/proc/self/fd/" + std::to_string(file)).rdbuf();
    return environment.str();
  }

  pid_t child_;
};

/// What the task finds when Slurm would exec its program: its environment where it is inside.
PluginResult run_at_door(const std::filesystem::path& runtime, const std::vector<std::string>& arguments, int task = 0,
                         const std::vector<std::string>& more = {}) {
  return in_process([&](Plugin& plugin) {
    slurm.task = task;
    slurm.environment = {"SLURM_JOB_ID=7", "SLURM_STEP_ID=0", "SLURM_PROCID=3",
                         "GONE=1",         "GONE=2",          "MLCTR_RUNTIME_DIR=" + runtime.string()};
    slurm.environment.insert(slurm.environment.end(), more.begin(), more.end());
    plugin.call("init", arguments);
    plugin.option("container-image", "busybox", 1);
    const std::filesystem::path host = std::filesystem::read_symlink("/proc/self/ns/mnt");
    const int code = plugin.call("task_init", arguments);
    say(std::to_string(code));
    if (std::filesystem::read_symlink("/proc/self/ns/mnt") != host) say(" inside");
    for (const std::string& variable : slurm.environment) {
      if (variable.starts_with("FAKE=") || variable.starts_with("SLURM_PROCID=") || variable.starts_with("GONE=")) {
        say(" " + variable);
      }
    }
  });
}

}  // namespace

TEST_CASE("a holder lets the task in, with what it makes of the task's environment") {
  const TemporaryDirectory directory;
  const Door door(directory.path(), "by the door");
  const PluginResult result = run_at_door(directory.path(), k_no_mlctr);
  CHECK(result.written == "0 inside SLURM_PROCID=3 FAKE=by the door");
  CHECK(result.said == "");
}

TEST_CASE("a later task waits for the door") {
  const TemporaryDirectory directory;
  const Door door(directory.path(), "by the door", 150);
  const PluginResult result = run_at_door(directory.path(), k_no_mlctr, 1);
  CHECK(result.written == "0 inside SLURM_PROCID=3 FAKE=by the door");
}

TEST_CASE("whatever is wrong with the door, mlctr is asked") {
  for (const char* answer :
       {"closes", "garbage", "other version", "not sealed", "host's files", "missing descriptor"}) {
    CAPTURE(answer);
    const TemporaryDirectory directory;
    const Door door(directory.path(), answer);
    const PluginResult result = run_at_door(directory.path(), k_fake_beside_door);
    CHECK(result.written == "0 inside SLURM_PROCID=3");  // as fake_mlctr leaves it, without FAKE
    CHECK(result.said == "");
  }
}

TEST_CASE("nobody else's door is used") {
  const TemporaryDirectory directory;
  const Door door(directory.path(), "by the door");
  ::chmod((directory.path() / "steps").c_str(), 0770);
  CHECK(run_at_door(directory.path(), k_fake_beside_door).written == "0 inside SLURM_PROCID=3");
}

TEST_CASE("a task whose container is saved has mlctr prepare it") {
  const TemporaryDirectory directory;
  const Door door(directory.path(), "by the door");
  CHECK(run_at_door(directory.path(), k_fake_beside_door, 0, {"MLCTR_CONTAINER_SAVE=/tmp/x.sqsh"}).written ==
        "0 inside SLURM_PROCID=3");
}
