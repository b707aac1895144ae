#include "app/slurm_step.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <charconv>
#include <string_view>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "runtime/process_table.hpp"
#include "store/container_store.hpp"

namespace mlctr {
namespace {

constexpr std::string_view k_keeper_name = "slurmstepd";

std::string value_in(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& entry : environment) {
    if (entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return "";
}

// Becomes part of a file's name.
std::string id_in(const std::vector<std::string>& environment, std::string_view name, std::string_view otherwise) {
  std::string id = value_in(environment, name);
  if (id.empty()) return std::string(otherwise);
  if (is_container_name(id)) return id;
  throw UsageError(fmt::format("{}={}: no id of Slurm's", name, printable(id)));
}

unsigned number_at(std::string_view text) {
  unsigned number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// A task is slurmstepd itself until it becomes its command: the last one of that name, seen from here, is the step's.
pid_t find_keeper() {
  const pid_t parent = ::getppid();
  pid_t pid = parent;
  while (pid > 1 && !is_slurmstepd(pid)) pid = runtime::parent_of(pid);
  if (pid <= 1) return parent;
  for (pid_t above; (above = runtime::parent_of(pid)) > 1 && is_slurmstepd(above);) pid = above;
  return pid;
}

}  // namespace

bool is_slurmstepd(pid_t pid) {
  return runtime::name_of(pid) == k_keeper_name;
}

unsigned tasks_of_node(const std::string& tasks_per_node, unsigned node) {
  std::string_view rest = tasks_per_node;
  while (!rest.empty()) {
    const std::string_view group = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(group.size() + 1, rest.size()));
    const std::size_t times = group.find("(x");
    const unsigned nodes = times == group.npos ? 1 : number_at(group.substr(times + 2));
    if (node < nodes) return std::max(number_at(group), 1u);
    node -= nodes;
  }
  return 1;
}

SlurmStep look_at_slurm_step(const std::vector<std::string>& environment) {
  SlurmStep step{.job = id_in(environment, "SLURM_JOB_ID", ""),
                 .step = id_in(environment, "SLURM_STEP_ID", "batch"),
                 .restart = id_in(environment, "SLURM_RESTART_COUNT", "0"),
                 .node = value_in(environment, "SLURMD_NODENAME"),
                 .nodes = std::max(number_at(value_in(environment, "SLURM_STEP_NUM_NODES")), 1u),
                 .local_tasks = tasks_of_node(value_in(environment, "SLURM_STEP_TASKS_PER_NODE"),
                                              number_at(value_in(environment, "SLURM_NODEID"))),
                 .keeper = find_keeper()};
  if (step.job.empty()) {
    throw UsageError("mlctr step runs in the tasks of a Slurm job: there is no SLURM_JOB_ID",
                     "`mlctr srun --container-image=IMAGE COMMAND` starts one, `mlctr run` needs no Slurm");
  }
  return step;
}

std::string key_of(const SlurmStep& step) {
  return fmt::format("{}.{}.{}-{}", step.job, step.step, step.restart, step.keeper);
}

std::string container_id_of(const SlurmStep& step) {
  return step.restart == "0" ? fmt::format("{}.{}", step.job, step.step)
                             : fmt::format("{}.{}.{}", step.job, step.step, step.restart);
}

}  // namespace mlctr
