#include "app/step_tasks.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <sstream>
#include <thread>
#include <vector>

#include "app/step_task.hpp"
#include "base/file.hpp"
#include "runtime/container_members.hpp"
#include "runtime/process_table.hpp"

namespace mlctr {
namespace {

constexpr std::chrono::seconds k_patience_with_killed{5};  // one that waits in the kernel (NFS) may never end

constexpr int k_most_looks = 20;  // programs without any environment (env -i) are there as well
constexpr std::chrono::milliseconds k_between_looks{20};

// Of all its threads, any of which may have started one; none where the kernel does not tell (CONFIG_PROC_CHILDREN).
std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  std::error_code error;
  std::filesystem::directory_iterator thread(fmt::format("/proc/{}/task", parent), error);
  for (; !error && thread != std::filesystem::directory_iterator(); thread.increment(error)) {
    std::istringstream pids(read_file_if_any(thread->path() / "children"));
    for (pid_t pid = 0; pids >> pid;) children.push_back(pid);
  }
  return children;
}

// One that has ended and waits for its parent counts no more.
Fd open_living_child_of(pid_t parent) {
  for (const pid_t pid : children_of(parent)) {
    Fd child = runtime::open_process(pid);
    const bool is_still_it = child && runtime::parent_of(pid) == parent;
    if (is_still_it && !runtime::wait_for_end(child, std::chrono::milliseconds(0))) return child;
  }
  return Fd();
}

bool is_below_slurmstepd(pid_t pid) {
  while (pid > 1 && !is_slurmstepd(pid)) pid = runtime::parent_of(pid);
  return pid > 1;
}

// Whether another look is due: something was ended, which may have started another meanwhile, or had no environment, as
// a process has for the moment in which it becomes another program.
bool end_those_with_environment_of(const SlurmStep& step) {
  bool is_unclear = false;
  for (const pid_t pid : runtime::ContainerMembers(::getpid()).pids()) {
    if (pid == ::getpid() || is_below_slurmstepd(pid)) continue;
    const Fd process = runtime::open_process(pid);
    if (!process) continue;
    const std::vector<std::string> environment = environment_of(pid);
    const bool is_its = is_task_of(key_of(step), environment);
    is_unclear = is_unclear || is_its || environment.empty();
    if (!is_its) continue;
    runtime::send_signal(process, SIGKILL);
    runtime::wait_for_end(process, k_patience_with_killed);
  }
  return is_unclear;
}

void end_what_has_environment_of(const SlurmStep& step) {
  for (int looks = 0; looks < k_most_looks && end_those_with_environment_of(step); ++looks) {
    std::this_thread::sleep_for(k_between_looks);
  }
}

}  // namespace

StepTasks::StepTasks(pid_t keeper)
    : keeper_(keeper), is_slurms_(is_slurmstepd(keeper) && !children_of(keeper).empty()) {
  if (is_slurms_) watched_ = open_living_child_of(keeper_);
}

bool StepTasks::have_ended() {
  if (is_slurms_) watched_ = open_living_child_of(keeper_);
  return is_slurms_ && !watched_;
}

void end_what_tasks_left(const SlurmStep& step, StepContainer container) {
  switch (container) {
    case StepContainer::of_step:
      return runtime::ContainerMembers(::getpid()).kill_all_but(::getpid());
    case StepContainer::shared:
      return end_what_has_environment_of(step);
  }
}

}  // namespace mlctr
