#include "cli/exec_on_node.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <set>

#include "app/slurm_containers.hpp"
#include "app/slurm_program.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/output.hpp"

namespace mlctr::cli {
namespace {

constexpr std::chrono::seconds k_exec_patience{10};
constexpr std::string_view k_digits = "0123456789";

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of(k_digits) == text.npos;
}

// "1234", "1234_5", "1234+1"
bool is_job(std::string_view text) {
  const std::size_t part = text.find_first_of("_+");
  return part == text.npos ? is_number(text) : is_number(text.substr(0, part)) && is_number(text.substr(part + 1));
}

struct JobAndStep {
  std::string job, step;  // step: empty for whichever has a container
};

JobAndStep split(std::string_view text) {
  const std::size_t dot = std::min(text.find('.'), text.size());
  return {std::string(text.substr(0, dot)), std::string(text.substr(std::min(dot + 1, text.size())))};
}

// The user's own, that runs.
SlurmJob find_job(const std::string& id) {
  const std::vector<SlurmJob> jobs = find_slurm_jobs(id);
  if (jobs.empty()) {
    throw Error(fmt::format("no job {}: Slurm does not know it, or it has ended", id),
                "`squeue --me` lists your jobs, `mlctr ps --slurm` their containers");
  }
  const auto running = std::ranges::find_if(jobs, &SlurmJob::runs);
  if (running == jobs.end()) {
    throw Error(fmt::format("job {} does not run: {} ({})", id, jobs[0].state, printable(jobs[0].reason)));
  }
  if (running->uid != ::getuid()) throw Error(fmt::format("job {} is another user's", id));
  if (std::ranges::count_if(jobs, &SlurmJob::runs) > 1) {
    throw Error(fmt::format("job {} is an array of which several run", id),
                fmt::format("mlctr exec {}_INDEX COMMAND enters one; `squeue --me` shows the indices", id));
  }
  return *running;
}

// Where the job's containers are: the step that is wanted, on the node that is wanted. Tasks of a heterogeneous job's
// component "1234+1" have the id of the whole.
std::vector<SlurmContainer> find_containers(const SlurmJob& job, const std::string& step, const std::string& node) {
  const std::string whole = job.id.substr(0, job.id.find('+'));
  SlurmJob asked = job;
  if (!node.empty()) {
    if (std::ranges::find(job.nodes, node) == job.nodes.end()) {
      throw Error(
          fmt::format("job {} has no node {}: it runs on {}", job.id, printable(node), fmt::join(job.nodes, ", ")));
    }
    asked.nodes = {node};
  }
  NodesAnswer answer = ask_nodes({asked}, k_exec_patience);
  std::erase_if(answer.containers,
                [&](const SlurmContainer& one) { return one.job != whole || (!step.empty() && one.step != step); });
  if (!answer.containers.empty()) return answer.containers;
  const std::string title = step.empty() ? "job " + job.id : fmt::format("step {}.{}", job.id, step);
  const std::string place = node.empty() ? "" : fmt::format(" on {}", node);
  if (answer.silent.empty()) {
    throw Error(fmt::format("no container of {} runs{}", title, place), "`mlctr ps --slurm` lists those that run");
  }
  throw Error(fmt::format("cannot find the container of {}: {}: {}", title, answer.silent[0].node,
                          printable(answer.silent[0].cause)));
}

// The one to enter, on the job's first node that has it.
SlurmContainer choose(const SlurmJob& job, const std::vector<SlurmContainer>& containers) {
  std::set<std::string> steps;
  for (const SlurmContainer& one : containers) steps.insert(fmt::format("{}.{}", one.job, one.step));
  if (steps.size() > 1) {
    throw Error(fmt::format("job {} has containers in several steps: {}", job.id, fmt::join(steps, ", ")),
                fmt::format("mlctr exec {} COMMAND enters that step's", *steps.begin()));
  }
  const auto place = [&](const SlurmContainer& one) {
    return std::ranges::find(job.nodes, one.node) - job.nodes.begin();
  };
  return *std::ranges::min_element(containers, {}, place);
}

}  // namespace

bool is_slurm_step(std::string_view text) {
  const auto [job, step] = split(text);
  const bool has_dot = text.find('.') != text.npos;
  return is_job(job) && (!has_dot || is_number(step) || step == "batch" || step == "interactive");
}

void exec_on_node(std::string_view text, const std::string& node, const std::vector<std::string>& options,
                  const std::vector<std::string>& command) {
  const auto srun = find_slurm_program("srun");
  if (!srun) {
    throw Error(fmt::format("nothing runs here under the name {}, and there is no srun to look on other nodes", text),
                "`mlctr ps` lists the containers that run here");
  }
  const auto [id, step] = split(text);
  const SlurmJob job = find_job(id);
  forget_step();
  const SlurmContainer container = choose(job, find_containers(job, step, node));
  std::vector<std::string> words = words_beside(job.id, {container.node});
  words.insert(words.begin(), "--quiet");
  if (::isatty(STDIN_FILENO) == 1 && ::isatty(STDOUT_FILENO) == 1) words.insert(words.begin(), "--pty");
  words.push_back(std::filesystem::read_symlink("/proc/self/exe"));
  words.emplace_back("exec");
  words.insert(words.end(), options.begin(), options.end());
  words.push_back(fmt::format("{}.{}", container.job, container.step));
  words.insert(words.end(), command.begin(), command.end());
  become_slurm_program(*srun, words);
}

}  // namespace mlctr::cli
