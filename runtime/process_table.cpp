#include "runtime/process_table.hpp"

#include <fmt/format.h>
#include <limits.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <filesystem>

namespace mlctr::runtime {

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

}  // namespace mlctr::runtime
