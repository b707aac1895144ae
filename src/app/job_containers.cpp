#include "app/job_containers.hpp"

#include <algorithm>
#include <optional>

#include "app/slurm_queue.hpp"

namespace mlctr {
namespace {

std::optional<std::vector<std::string>> jobs_that_go_on() {
  try {
    return list_unfinished_jobs();
  } catch (const SlurmUnreachable&) {
    return std::nullopt;
  }
}

}  // namespace

std::vector<std::string> containers_of_ended_jobs(const ContainerStore& containers, const std::string& ended) {
  std::vector<StoredContainer> of_jobs = containers.list().containers;
  std::erase_if(of_jobs, [](const StoredContainer& container) { return container.record.job.empty(); });
  std::vector<std::string> names;
  if (of_jobs.empty()) return names;
  const auto going_on = ended.empty() ? jobs_that_go_on() : std::nullopt;
  if (ended.empty() && !going_on) return names;
  for (const StoredContainer& container : of_jobs) {
    const std::string& job = container.record.job;
    const bool has_ended = ended.empty() ? std::ranges::find(*going_on, job) == going_on->end() : job == ended;
    if (has_ended) names.push_back(container.record.name);
  }
  return names;
}

}  // namespace mlctr
