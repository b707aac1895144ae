#include "app/named_container.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <thread>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "runtime/container_socket.hpp"
#include "runtime/process_table.hpp"
#include "runtime/run_lock.hpp"

namespace mlctr {
namespace {

constexpr std::uint64_t k_max_mountinfo_bytes = 16u << 20;
constexpr std::chrono::seconds k_patience_with_killed{5};
constexpr std::chrono::seconds k_patience_with_ending{10};  // it ends what is left of a container that was never whole
constexpr std::chrono::milliseconds k_pause{5};

// The overlay's own line tells which container a mount namespace is (proc(5), /proc/PID/mountinfo).
bool is_on(pid_t pid, const std::string& upper) {
  struct stat status {};
  if (::stat(fmt::format("/proc/{}", pid).c_str(), &status) != 0 || status.st_uid != ::geteuid()) return false;
  return read_file_if_any(fmt::format("/proc/{}/mountinfo", pid), k_max_mountinfo_bytes).find(upper) !=
         std::string::npos;
}

std::string upper_option(const std::filesystem::path& upper) {
  return fmt::format("upperdir={},", upper.string());
}

std::vector<pid_t> processes_on(const std::filesystem::path& upper) {
  const std::string option = upper_option(upper);
  std::vector<pid_t> found = runtime::all_pids();
  std::erase_if(found, [&](pid_t pid) { return !is_on(pid, option); });
  return found;
}

std::filesystem::path upper_of(const ContainerStore& containers, const std::string& name) {
  return containers.root() / name / "upper";
}

bool was_server_killed(const RuntimeDirectory& directory, const ContainerStore& containers, const std::string& name) {
  const std::string socket = socket_name(containers.root(), name);
  if (runtime::ask_container(directory.sockets, socket, runtime::k_describe)) return false;
  const auto run = runtime::look_at_run(run_lock_of(containers, name));
  std::error_code error;
  return run ? !run->is_held : std::filesystem::exists(directory.sockets / socket, error);
}

void check_no_strays(const ContainerStore& containers, const std::string& name) {
  const std::vector<pid_t> strays = processes_on(upper_of(containers, name));
  if (strays.empty()) return;
  throw Error(fmt::format("the server of the container {} was killed, but programs still run in it (process {})", name,
                          fmt::join(strays, ", ")),
              fmt::format("they can't go on without it: kill -9 {}; `mlctr rm --force {}` ends them too",
                          fmt::join(strays, " "), name));
}

// Its server answers nobody any more, and still has something to wait for.
[[noreturn]] void throw_never_ending(const ContainerStore& containers, const std::string& name) {
  const std::vector<pid_t> left = processes_on(upper_of(containers, name));
  throw Error(
      fmt::format("a start of the container {} failed, and its processes ({}) do not end", name, fmt::join(left, ", ")),
      "they may wait for a filesystem or a device that does not answer: see `ps -o pid,stat,wchan,cmd`");
}

[[noreturn]] void throw_out_of_reach(const std::string& name, const runtime::RunPlace& place) {
  throw Error(
      fmt::format("the container {} runs already, where it can't be reached from here: its server is process "
                  "{}, its socket in {}",
                  name, place.server, place.sockets.string()),
      "on another node, which shares this store: MLCTR_CONTAINERS (or containers in mlctr.toml) names a directory "
      "of each node's own; on this one MLCTR_RUNTIME_DIR, set to one directory of yours, makes it found");
}

// A job may have a /tmp of its own: what its server sees there is below /proc/PID/root.
std::optional<runtime::Message> ask_elsewhere(const runtime::RunPlace& place, const std::string& socket,
                                              std::string_view request) {
  if (place.sockets.empty()) return std::nullopt;
  if (auto answer = runtime::ask_container(place.sockets, socket, request)) return answer;
  return runtime::ask_container(fmt::format("/proc/{}/root{}", place.server, place.sockets.string()), socket, request);
}

}  // namespace

std::filesystem::path run_lock_of(const ContainerStore& containers, std::string_view name) {
  return containers.root() / name / "run.lock";
}

std::optional<runtime::Message> ask_named_container(const RuntimeDirectory& directory, const ContainerStore& containers,
                                                    const std::string& name, std::string_view request) {
  const std::string socket = socket_name(containers.root(), name);
  const auto deadline = std::chrono::steady_clock::now() + k_patience_with_ending;
  for (;;) {
    if (auto answer = runtime::ask_container(directory.sockets, socket, request)) return answer;
    const auto run = runtime::look_at_run(run_lock_of(containers, name));
    const bool is_held = run && run->is_held;
    const bool is_here = runtime::has_server(directory.sockets, socket);
    if (is_held && !is_here) {
      if (auto answer = ask_elsewhere(run->place, socket, request)) return answer;
    } else if (!is_here) {
      std::error_code error;
      if (run || std::filesystem::exists(directory.sockets / socket, error)) check_no_strays(containers, name);
      return std::nullopt;
    }
    if (std::chrono::steady_clock::now() > deadline) {
      is_here ? throw_never_ending(containers, name) : throw_out_of_reach(name, run->place);
    }
    std::this_thread::sleep_for(k_pause);
  }
}

void end_strays(const RuntimeDirectory& directory, const ContainerStore& containers, const std::string& name) {
  if (!was_server_killed(directory, containers, name)) return;
  const std::filesystem::path upper = upper_of(containers, name);
  for (const pid_t pid : processes_on(upper)) {
    const Fd process = runtime::open_process(pid);
    if (!process || !is_on(pid, upper_option(upper))) continue;  // its number is another's by now
    runtime::send_signal(process, SIGKILL);
    runtime::wait_for_end(process, k_patience_with_killed);
  }
}

}  // namespace mlctr
