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

constexpr const char* k_format = "--format=%A,%i|%T|%U|%N|%r";  // the reason is the one that may have anything in it
constexpr std::chrono::seconds k_slurm_patience{20};

ProcessResult run_squeue(const std::string& squeue, std::vector<std::string> more) {
  std::vector<std::string> arguments{squeue, "--noheader", k_format};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_process({.arguments = std::move(arguments), .timeout = k_slurm_patience, .max_output_bytes = 64u << 20});
}

// Of "1235,1234+1", "1240,1239_1" or "1234,1234": a component of a heterogeneous job is reached by the name that it has
// in the whole, an array's part by its own number. Empty: it is no job.
std::string id_of(std::string_view field) {
  const std::string_view number = field.substr(0, field.find(','));
  if (number.empty() || number.find_first_not_of("0123456789") != number.npos) return "";
  const std::string_view title = field.substr(std::min(number.size() + 1, field.size()));
  return std::string(title.find('+') == title.npos ? number : title);
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
    std::string id = id_of(fields[0]);
    if (id.empty()) continue;
    uid_t uid = 0;
    std::from_chars(fields[2].data(), fields[2].data() + fields[2].size(), uid);
    jobs.push_back({.id = std::move(id),
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

std::vector<std::string> list_unfinished_jobs() {
  const auto squeue = find_slurm_program("squeue");
  if (!squeue) throw SlurmUnreachable("cannot find Slurm's squeue in PATH");
  const ProcessResult result = run_squeue(*squeue, {"--me"});
  if (result.exit_code != 0) refuse(result);
  std::vector<std::string> ids;
  for (const SlurmJob& job : parse_queue(result.standard_output)) ids.push_back(job.id.substr(0, job.id.find('+')));
  return ids;
}

std::vector<SlurmJob> find_slurm_jobs(const std::string& id) {
  const auto squeue = find_slurm_program("squeue");
  if (!squeue) return {};
  const ProcessResult result = run_squeue(*squeue, {fmt::format("--jobs={}", id)});
  if (result.exit_code != 0 && result.standard_error.find("Invalid job id") == std::string::npos) refuse(result);
  std::vector<SlurmJob> jobs = parse_queue(result.standard_output);
  // squeue gives all components where one is asked for.
  if (id.find('+') != id.npos) std::erase_if(jobs, [&](const SlurmJob& job) { return job.id != id; });
  return jobs;
}

}  // namespace mlctr
