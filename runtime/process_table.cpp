#include "runtime/process_table.hpp"

#include <fmt/format.h>
#include <limits.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <filesystem>

#include "base/file.hpp"

extern "C" {
#include <sys/pidfd.h>  // glibc 2.36's has no linkage of its own (fixed in 2.37)
}

namespace mlctr::runtime {
namespace {

constexpr std::uint64_t k_max_line_bytes = 4096;

// Of /proc/PID/stat, from the state on: the name before it may hold anything.
std::string after_name(pid_t pid) {
  const std::string line = read_file_if_any(fmt::format("/proc/{}/stat", pid), k_max_line_bytes);
  const std::size_t name_end = line.rfind(") ");
  return name_end == line.npos ? "" : line.substr(name_end + 2);
}

}  // namespace

std::vector<pid_t> all_pids() {
  std::vector<pid_t> pids;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, mistake] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (mistake == std::errc{} && end == name.data() + name.size()) pids.push_back(pid);
  }
  return pids;
}

std::string namespace_path(pid_t pid, std::string_view kind) {
  return fmt::format("/proc/{}/ns/{}", pid, kind);
}

std::string namespace_id(pid_t pid, std::string_view kind) {
  std::array<char, PATH_MAX> target;
  const ssize_t size = ::readlink(namespace_path(pid, kind).c_str(), target.data(), target.size());
  return size < 0 ? "" : std::string(target.data(), static_cast<std::size_t>(size));
}

std::vector<std::string> command_of(pid_t pid) {
  std::vector<std::string> words;
  std::string text = read_file_if_any(fmt::format("/proc/{}/cmdline", pid));
  if (!text.empty() && text.back() != '\0') text += '\0';  // a program may write over its words
  for (std::size_t begin = 0; begin < text.size(); begin += words.back().size() + 1) {
    words.emplace_back(text.c_str() + begin);
  }
  return words;
}

std::string name_of(pid_t pid) {
  std::string name = read_file_if_any(fmt::format("/proc/{}/comm", pid), k_max_line_bytes);
  if (name.ends_with('\n')) name.pop_back();
  return name;
}

pid_t parent_of(pid_t pid) {
  const std::string rest = after_name(pid);  // "S 4711 …"
  pid_t parent = 0;
  if (rest.size() > 2) std::from_chars(rest.data() + 2, rest.data() + rest.size(), parent);
  return parent;
}

bool is_stopped(pid_t pid) {
  return after_name(pid).starts_with('T');
}

Fd open_process(pid_t pid) {
  return Fd(::pidfd_open(pid, 0));
}

void send_signal(const Fd& process, int signal) {
  ::pidfd_send_signal(process.get(), signal, nullptr, 0);
}

int reap(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

bool wait_for_end(const Fd& process, std::chrono::milliseconds patience) {
  pollfd end{process.get(), POLLIN, 0};
  return ::poll(&end, 1, static_cast<int>(patience.count())) > 0;
}

}  // namespace mlctr::runtime
