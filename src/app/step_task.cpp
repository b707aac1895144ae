#include "app/step_task.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/error.hpp"
#include "base/fd.hpp"
#include "base/file.hpp"
#include "base/nul_separated.hpp"
#include "runtime/environment.hpp"

namespace mlctr {
namespace {

std::string_view value_of(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& entry : environment) {
    if (runtime::is_entry_of(entry, name)) return std::string_view(entry).substr(name.size() + 1);
  }
  return {};
}

unsigned rank_of(const std::vector<std::string>& environment) {
  const std::string_view text = value_of(environment, "SLURM_PROCID");
  unsigned rank = std::numeric_limits<unsigned>::max();
  std::from_chars(text.data(), text.data() + text.size(), rank);
  return rank;
}

}  // namespace

std::vector<std::string> environment_of(pid_t pid) {
  try {
    return split_at_nul(read_file(fmt::format("/proc/{}/environ", pid)));
  } catch (const Error&) {
    return {};
  }
}

bool is_task_of(std::string_view step_key, const std::vector<std::string>& environment) {
  const std::string_view step = value_of(environment, "SLURM_STEP_ID");
  const std::string beginning =
      fmt::format("{}.{}.", value_of(environment, "SLURM_JOB_ID"), step.empty() ? std::string_view("batch") : step);
  return step_key.starts_with(beginning);
}

std::vector<std::string> environment_of_first_task(std::string_view step_key, const std::vector<pid_t>& pids) {
  std::vector<pid_t> oldest_first = pids;
  std::ranges::sort(oldest_first);
  std::vector<std::string> first;
  for (const pid_t pid : oldest_first) {
    std::vector<std::string> environment = environment_of(pid);
    if (!is_task_of(step_key, environment)) continue;
    if (first.empty() || rank_of(environment) < rank_of(first)) first = std::move(environment);
  }
  return first;
}

}  // namespace mlctr
