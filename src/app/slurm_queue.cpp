#include "app/slurm_queue.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>

#include "app/host_list.hpp"
#include "app/slurm_program.hpp"
#include "base/printable.hpp"
#include "base/process.hpp"

namespace mlctr {
namespace {

constexpr const char* k_format = "--format=%A|%T|%U|%N|%r";  // the reason is the one that may have anything in it
constexpr std::chrono::seconds k_slurm_patience{20};

ProcessResult run_squeue(const std::string& squeue, std::vector<std::string> more) {
  std::vector<std::string> arguments{squeue, "--noheader", k_format};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_process({.arguments = std::move(arguments), .timeout = k_slurm_patience, .max_output_bytes = 64u << 20});
}

[[noreturn]] void refuse(const ProcessResult& result) {
  throw SlurmUnreachable(fmt::format("cannot ask Slurm for jobs: {}", printable_lines(result.standard_error)));
}

}  // namespace

std::vector<SlurmJob> parse_queue(std::string_view text) {
  std::vector<SlurmJob> jobs;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    std::array<std::string_view, 4> fields;
    for (std::string_view& field : fields) {
      field = line.substr(0, line.find('|'));
      line.remove_prefix(std::min(field.size() + 1, line.size()));
    }
    if (fields[0].empty() || fields[0].find_first_not_of("0123456789") != std::string_view::npos) continue;
    uid_t uid = 0;
    std::from_chars(fields[2].data(), fields[2].data() + fields[2].size(), uid);
    jobs.push_back({.id = std::string(fields[0]),
                    .state = std::string(fields[1]),
                    .reason = std::string(line),
                    .uid = uid,
                    .nodes = expand_hosts(fields[3])});
  }
  return jobs;
}

std::vector<SlurmJob> list_running_jobs() {
  const auto squeue = find_slurm_program("squeue");
  if (!squeue) return {};
  const ProcessResult result = run_squeue(*squeue, {"--me", "--states=RUNNING"});
  if (result.exit_code != 0) refuse(result);
  return parse_queue(result.standard_output);
}

std::vector<SlurmJob> find_slurm_jobs(const std::string& id) {
  const auto squeue = find_slurm_program("squeue");
  if (!squeue) return {};
  const ProcessResult result = run_squeue(*squeue, {fmt::format("--jobs={}", id)});
  if (result.exit_code != 0 && result.standard_error.find("Invalid job id") == std::string::npos) refuse(result);
  return parse_queue(result.standard_output);
}

}  // namespace mlctr
