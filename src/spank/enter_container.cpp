#include "spank/enter_container.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include <csignal>
#include <cstdio>
#include <cstring>

#include "spank/batch_script.hpp"
#include "spank/hand_off.hpp"
#include "spank/helper_process.hpp"
#include "spank/job_environment.hpp"
#include "spank/join.hpp"
#include "spank/mlctr_command.hpp"
#include "spank/save_container.hpp"
#include "spank/step_door.hpp"

namespace mlctr::spank {
namespace {

using Outcome = Entered::Outcome;

struct Preparation {
  Outcome outcome = Outcome::failed;
  Failure failure;
  Descriptor socket;  ///< the message waits in it
};

/// Sent to the whole step, mlctr among it, by scancel or ^C: Slurm has told of that.
bool is_cancelling(int signal) {
  return signal == SIGTERM || signal == SIGINT || signal == SIGHUP;
}

Preparation prepare(spank_t spank, const PluginSettings& settings, const GivenOptions& given,
                    char* const* environment) {
  Preparation preparation;
  int ends[2];
  if (environment == nullptr || ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) {
    preparation.failure = failed_by_errno("cannot prepare the container");
    return preparation;
  }
  preparation.socket.reset(ends[0]);
  const Descriptor theirs(ends[1]);
  MlctrCommand command("enter", settings, given, environment);
  command.add("--socket");
  command.add("3");
  // What it will be: mlctr has it uncompressed while the container is made.
  int count = 0;
  char** task = nullptr;
  if (::spank_get_item(spank, S_JOB_ARGV, &count, &task) == ESPANK_SUCCESS && count > 0) {
    command.add("--");
    command.add(task[0]);
  }
  static_assert(k_helper_socket == 3);
  const HelperEnd end = run_helper(
      {.path = settings.mlctr, .words = command.words(), .environment = environment, .socket = theirs.get()});
  preparation.failure = end.not_started;
  if (end.not_started.happened()) {
    preparation.outcome = Outcome::wrongly_installed;
    return preparation;
  }
  if (WIFSIGNALED(end.status) && !is_cancelling(WTERMSIG(end.status))) {
    preparation.failure = failed("%s was ended by signal %d (%s) while it prepared the container", settings.mlctr,
                                 WTERMSIG(end.status), ::strsignal(WTERMSIG(end.status)));
    return preparation;
  }
  preparation.outcome = end.status == 0 ? Outcome::inside : Outcome::failed_and_told;
  return preparation;
}

void print_warnings(const MappedRecords& records) {
  records.each(MLCTR_HAND_OFF_WARNING, [](std::string_view bytes) {
    const Failure line = failed("%.*s", static_cast<int>(bytes.size()), bytes.data());
    ::slurm_spank_log("mlctr: %s", line.text.data());
  });
}

/// Where the container is there, and somebody lets the task in who is no process of mlctr's own for it.
HandOff enter_by_door(spank_t spank, const GivenOptions& given, char* const* environment) {
  HandOff none;
  none.failure = failed("a task whose container is saved is not slurmstepd's child, which is how the door is found");
  if (is_saved(given, environment)) return none;
  int task = 0;
  const bool is_first = ::spank_get_item(spank, S_TASK_ID, &task) != ESPANK_SUCCESS || task == 0;
  return ask_holder(is_first ? TaskOrder::first : TaskOrder::later, environment);
}

}  // namespace

Entered enter_container(spank_t spank, const PluginSettings& settings, const GivenOptions& given) {
  char* const* const environment = job_environment(spank);
  HandOff hand_off = enter_by_door(spank, given, environment);
  if (hand_off.failure.happened()) {
    const Preparation preparation = prepare(spank, settings, given, environment);
    if (preparation.outcome != Outcome::inside) return {.outcome = preparation.outcome, .failure = preparation.failure};
    hand_off = take_hand_off(preparation.socket.get());
    if (hand_off.failure.happened()) return {.outcome = Outcome::wrongly_installed, .failure = hand_off.failure};
  }
  print_warnings(hand_off.records);
  for (const Failure& failure : {replace_environment(spank, hand_off.records), keep_batch_script(spank)}) {
    if (failure.happened()) return {.outcome = Outcome::failed, .failure = failure};
  }
  const Failure failure = join_container(hand_off);
  return {.outcome = failure.happened() ? Outcome::failed : Outcome::inside, .failure = failure};
}

}  // namespace mlctr::spank
