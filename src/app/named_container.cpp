#include "app/stray_processes.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr {
namespace {

constexpr std::uint64_t k_max_mountinfo_bytes = 16u << 20;

// The overlay's own line tells which container a mount namespace is (proc(5), /proc/PID/mountinfo).
bool is_on(pid_t pid, const std::string& upper) {
  struct stat status {};
  if (::stat(fmt::format("/proc/{}", pid).c_str(), &status) != 0 || status.st_uid != ::geteuid()) return false;
  try {
    return read_file(fmt::format("/proc/{}/mountinfo", pid), k_max_mountinfo_bytes).find(upper) != std::string::npos;
  } catch (const Error&) {
    return false;  // it ended this moment
  }
}

std::vector<pid_t> processes_on(const std::filesystem::path& upper) {
  const std::string option = fmt::format("upperdir={},", upper.string());
  std::vector<pid_t> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
    const std::string name = entry.path().filename().string();
    pid_t pid = 0;
    const auto [end, mistake] = std::from_chars(name.data(), name.data() + name.size(), pid);
    if (mistake == std::errc{} && end == name.data() + name.size() && is_on(pid, option)) found.push_back(pid);
  }
  return found;
}

}  // namespace

void check_no_strays(const RuntimeDirectory& directory, const ContainerStore& containers, const std::string& name) {
  std::error_code error;
  if (!std::filesystem::exists(directory.sockets / socket_name(containers.root(), name), error)) return;
  const std::vector<pid_t> strays = processes_on(containers.root() / name / "upper");
  if (strays.empty()) return;
  throw Error(fmt::format("the server of the container {} was killed, but programs still run in it (process {})", name,
                          fmt::join(strays, ", ")),
              fmt::format("they can't go on without it: kill -9 {}", fmt::join(strays, " ")));
}

}  // namespace mlctr
