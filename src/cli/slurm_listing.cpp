#include "cli/slurm_listing.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "app/slurm_containers.hpp"
#include "app/slurm_program.hpp"
#include "base/printable.hpp"
#include "cli/age.hpp"

namespace mlctr::cli {
namespace {

constexpr std::chrono::seconds k_listing_patience{10};

void print_table(const std::vector<SlurmContainer>& containers) {
  using Narrow = Table::Narrow;
  Table table({{"STEP"},
               {"NODE"},
               {"USER", Align::left, Narrow::drop},
               {"CONTAINER"},
               {"IMAGE", Align::left, Narrow::cut_middle},
               {"PROCESSES", Align::right, Narrow::drop},
               {"SINCE"}});
  for (const SlurmContainer& one : containers) {
    table.add({printable(one.job + "." + one.step), printable(one.node), printable(one.user), printable(one.id),
               printable(one.image, 4096), fmt::format("{}", one.processes), age_of(one.started_at)});
  }
  print(table);
}

void print_objects(const std::vector<SlurmContainer>& containers) {
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const SlurmContainer& one : containers) {
    json.push_back({{"job", one.job},
                    {"step", one.step},
                    {"node", one.node},
                    {"user", one.user},
                    {"id", one.id},
                    {"name", one.name},
                    {"image", one.image},
                    {"processes", one.processes},
                    {"started", one.started_at}});
  }
  print_json(json);
}

// The nodes of running jobs, this one too, if it is one.
NodesAnswer ask_all() {
  const std::vector<SlurmJob> jobs = list_running_jobs();
  NodesAnswer answer;
  if (!jobs.empty()) {
    forget_step();
    answer = ask_nodes(jobs, k_listing_patience);
  }
  return answer;
}

}  // namespace

int list_slurm(Format format) {
  std::vector<SlurmContainer> here = list_node_containers();
  NodesAnswer answer = ask_all();
  answer.containers.insert(answer.containers.end(), here.begin(), here.end());
  sort_containers(answer.containers);
  for (const SilentNode& silent : answer.silent) {
    say(fmt::format("warning: {} (job {}) is not listed: {}", printable(silent.node), silent.job,
                    printable(silent.cause)));
  }
  if (format == Format::json) {
    print_objects(answer.containers);
  } else if (answer.containers.empty()) {
    say("no container of yours runs in a Slurm step; `squeue --me` lists your jobs");
  } else {
    print_table(answer.containers);
  }
  return 0;
}

}  // namespace mlctr::cli
