#include "spank/save_container.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "spank/helper_process.hpp"
#include "spank/job_environment.hpp"
#include "spank/mlctr_command.hpp"

namespace mlctr::spank {

Failure StepSave::begin() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return failed_by_errno("--container-save: cannot make a pipe");
  joined_.reset(ends[0]);
  joining_.reset(ends[1]);
  if (::getcwd(directory_.data(), directory_.size()) == nullptr) directory_ = {'/'};
  return {};
}

void StepSave::count_joined() const {
  if (joining_) [[maybe_unused]]
    const auto written = ::write(joining_.get(), "", 1);
}

bool StepSave::have_all_joined(std::uint32_t tasks) const {
  char joined;
  while (tasks > 0 && ::read(joined_.get(), &joined, 1) == 1) --tasks;
  return tasks == 0;
}

Failure StepSave::end_task(spank_t spank, const PluginSettings& settings, const GivenOptions& given) {
  std::uint32_t tasks = 0;
  if (::spank_get_item(spank, S_JOB_LOCAL_TASK_COUNT, &tasks) != ESPANK_SUCCESS) {
    return failed("--container-save: Slurm doesn't say how many tasks there are");
  }
  if (++ended_ != tasks || !have_all_joined(tasks)) return {};
  return save(spank, settings, given);
}

Failure StepSave::save(spank_t spank, const PluginSettings& settings, const GivenOptions& given) const {
  JobUser user{};
  gid_t* groups = nullptr;
  char* const* const environment = job_environment(spank);
  if (::spank_get_item(spank, S_JOB_UID, &user.uid) != ESPANK_SUCCESS ||
      ::spank_get_item(spank, S_JOB_GID, &user.gid) != ESPANK_SUCCESS ||
      ::spank_get_item(spank, S_JOB_SUPPLEMENTARY_GIDS, &groups, &user.group_count) != ESPANK_SUCCESS ||
      environment == nullptr) {
    return failed("--container-save: Slurm doesn't say whose job this is");
  }
  user.groups = groups;
  const MlctrCommand command("save", settings, given, environment);
  const HelperEnd end = run_helper({.path = settings.mlctr,
                                    .words = command.words(),
                                    .environment = environment,
                                    .user = &user,
                                    .directory = directory_.data()});
  if (end.not_started.happened()) return failed("--container-save: %s", end.not_started.text.data());
  if (!WIFSIGNALED(end.status)) return {};  // what went wrong mlctr has told
  return failed("--container-save: %s was ended by signal %d", settings.mlctr, WTERMSIG(end.status));
}

}  // namespace mlctr::spank
