#include "app/named_container.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sys/stat.h>
#include <unistd.h>

#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "runtime/container_socket.hpp"
#include "runtime/process_table.hpp"

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
  std::vector<pid_t> found = runtime::all_pids();
  std::erase_if(found, [&](pid_t pid) { return !is_on(pid, option); });
  return found;
}

void check_no_strays(const ContainerStore& containers, const std::string& name) {
  const std::vector<pid_t> strays = processes_on(containers.root() / name / "upper");
  if (strays.empty()) return;
  throw Error(fmt::format("the server of the container {} was killed, but programs still run in it (process {})", name,
                          fmt::join(strays, ", ")),
              fmt::format("they can't go on without it: kill -9 {}", fmt::join(strays, " ")));
}

}  // namespace

std::optional<runtime::Message> ask_named_container(const RuntimeDirectory& directory, const ContainerStore& containers,
                                                    const std::string& name, std::string_view request) {
  const std::string socket = socket_name(containers.root(), name);
  auto answer = runtime::ask_container(directory.sockets, socket, request);
  std::error_code error;
  if (!answer && std::filesystem::exists(directory.sockets / socket, error)) check_no_strays(containers, name);
  return answer;
}

}  // namespace mlctr
