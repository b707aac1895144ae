// Slurm's callbacks: in srun, sbatch and salloc they take and check the options; in a task they put it into its
// container before its program starts. Nothing is done for a job that asks for no container.
#include <unistd.h>

#include <string_view>

#include "spank/enter_container.hpp"
#include "spank/given_options.hpp"
#include "spank/job_environment.hpp"
#include "spank/option_checks.hpp"
#include "spank/plugin_settings.hpp"
#include "spank/save_container.hpp"
#include "spank/slurm.hpp"

// Constants are local symbols in C++ unless declared before.
extern "C" {
extern const char plugin_name[];
extern const char plugin_type[];
extern const unsigned int plugin_version;
extern const unsigned int spank_plugin_version;
SPANK_PLUGIN(mlctr, 1)
}

namespace mlctr::spank {
namespace {

// Slurm gives its callbacks no place of their own to keep anything.
GivenOptions given_to_us;
Failure refused_option;  ///< in a step: Slurm only logs it and would go on without the option

constexpr int k_success = 0;
constexpr int k_failure = -1;  // ESPANK_ERROR is positive, and slurmstepd looks for negative numbers (Slurm 22.05)

int tell(const Failure& failure) {
  if (!failure.happened()) return k_success;
  ::slurm_error("mlctr: %s", failure.text.data());
  return k_failure;
}

int take_typed_option(Option option, const char* argument) {
  if (tell(given_to_us.take_typed(option, argument)) != k_success) return k_failure;
  return option == Option::image ? tell(check_for_forgotten_slash(argument)) : k_success;
}

int take_option(int value, const char* argument, int remote) {
  const auto option = static_cast<Option>(value);
  if (remote == 0) return take_typed_option(option, argument);
  const Failure failure = given_to_us.take_forwarded(option, argument);
  if (failure.happened()) refused_option = failure;
  return tell(failure);
}

int register_options(spank_t spank) {
  for (std::size_t i = 0; i < k_options.size(); ++i) {
    const OptionRow& row = k_options[i];
    // Slurm copies it; its fields are not const because C was there before const.
    spank_option option{.name = const_cast<char*>(row.name),
                        .arginfo = const_cast<char*>(row.argument),
                        .usage = const_cast<char*>(row.usage),
                        .has_arg = row.argument != nullptr,
                        .val = static_cast<int>(i),
                        .cb = take_option};
    const spank_err_t error = ::spank_option_register(spank, &option);
    if (error == ESPANK_SUCCESS) continue;
    return tell(
        failed("cannot register --%s: %s (is pyxis in plugstack.conf as well?)", row.name, ::spank_strerror(error)));
  }
  return k_success;
}

int check_settings_of_slurmd(const PluginSettings& settings) {
  if (settings.ignored != nullptr) ::slurm_info("mlctr: plugstack.conf: %s has no meaning here", settings.ignored);
  tell(settings.failure);
  return k_success;  // jobs without containers go on
}

/// In pyxis's words. Variables are not meant: they are a site's defaults, often.
void warn_of_what_is_ignored() {
  for (std::size_t i = 0; i < k_options.size(); ++i) {
    if (!given_to_us.has(static_cast<Option>(i))) continue;
    ::slurm_error("mlctr: ignoring --%s because neither --container-image nor --container-name is set",
                  k_options[i].name);
  }
}

/// Before the job waits in the queue.
int check_request() {
  if (!wants_container(given_to_us, environ)) {
    warn_of_what_is_ignored();
    return k_success;
  }
  if (const Failure failure = check_variables(given_to_us, environ); failure.happened()) return tell(failure);
  const char* const image = given_to_us.has(Option::image) ? nullptr : variable_of(Option::image, environ);
  return image == nullptr ? k_success : tell(check_for_forgotten_slash(image));
}

/// Whatever Slurm would make of a callback's failure ("optional" in plugstack.conf has it ignored), the task must not
/// go on to run on the host; and "task_init() failed with rc=-1" on top of the cause would help nobody.
[[noreturn]] void end_task(const Failure& failure) {
  tell(failure);
  ::_exit(1);
}

/// The same for what all tasks of this node run into.
[[noreturn]] void end_all_tasks(spank_t spank, const Failure& failure) {
  int task = 0;
  const bool is_another_s_to_tell = ::spank_get_item(spank, S_TASK_ID, &task) == ESPANK_SUCCESS && task != 0;
  end_task(is_another_s_to_tell ? Failure{} : failure);
}

/// Whether the command is what `mlctr srun` makes of one, on a cluster that has both: it goes into its container by
/// itself, or ends. From inside another container it couldn't.
bool is_wrapped_command(spank_t spank) {
  int count = 0;
  char** words = nullptr;
  if (::spank_get_item(spank, S_JOB_ARGV, &count, &words) != ESPANK_SUCCESS) return false;
  const int first = count > 0 && std::string_view(words[0]).ends_with("/mlctr-task") ? 1 : 0;
  return count >= first + 3 && std::string_view(words[first]).ends_with("/mlctr") &&
         words[first + 1] == std::string_view("step") && words[first + 2] == std::string_view("run");
}

bool is_wanted_for(spank_t spank) {
  return wants_container(given_to_us, job_environment(spank)) && !is_wrapped_command(spank);
}

}  // namespace
}  // namespace mlctr::spank

using namespace mlctr::spank;

extern "C" {

int slurm_spank_init(spank_t spank, int argument_count, char** arguments) {
  switch (::spank_context()) {
    case S_CTX_LOCAL:
    case S_CTX_REMOTE:
      return register_options(spank);
    case S_CTX_ALLOCATOR: {
      const PluginSettings settings = read_settings(argument_count, arguments);
      return settings.sbatch_support == BatchSupport::on ? register_options(spank) : k_success;
    }
    case S_CTX_SLURMD:
      return check_settings_of_slurmd(read_settings(argument_count, arguments));
    case S_CTX_ERROR:
    case S_CTX_JOB_SCRIPT:
      break;
  }
  return k_success;
}

int slurm_spank_init_post_opt(spank_t, int, char**) {
  const spank_context_t context = ::spank_context();
  return context == S_CTX_LOCAL || context == S_CTX_ALLOCATOR ? check_request() : k_success;
}

int slurm_spank_task_init(spank_t spank, int argument_count, char** arguments) {
  if (refused_option.happened()) end_all_tasks(spank, refused_option);
  if (!is_wanted_for(spank)) return k_success;
  const PluginSettings settings = read_settings(argument_count, arguments);
  if (settings.failure.happened()) end_all_tasks(spank, settings.failure);
  SavedTask saved(spank, settings, given_to_us);
  if (saved.failure().happened()) end_task(saved.failure());
  const Entered entered = enter_container(spank, settings, given_to_us);
  if (entered.outcome == Entered::Outcome::wrongly_installed) end_all_tasks(spank, entered.failure);
  if (entered.outcome != Entered::Outcome::inside) end_task(entered.failure);
  saved.tell_joined();
  return k_success;
}

}  // extern "C"
