#include "fake_slurm.hpp"

#include <slurm/slurm.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>

namespace mlctr::test {
spank_handle slurm;
}

using mlctr::test::slurm;

char** spank_handle::environment_array() {
  environment_pointers.clear();
  for (std::string& variable : environment) environment_pointers.push_back(variable.data());
  environment_pointers.push_back(nullptr);
  return environment_pointers.data();
}

namespace {

constexpr auto k_success = static_cast<spank_err_t>(ESPANK_SUCCESS);  // a macro, to Slurm

auto find(spank_t spank, const std::string& name) {
  return std::ranges::find_if(spank->environment,
                              [&](const std::string& variable) { return variable.starts_with(name + "="); });
}

void print(const char* level, const char* format, std::va_list arguments) {
  char line[4096];
  std::vsnprintf(line, sizeof(line), format, arguments);
  ::dprintf(STDERR_FILENO, "%s: %s\n", level, line);
}

}  // namespace

extern "C" {

const char* spank_strerror(spank_err_t) {
  return "a spank error";
}

spank_context_t spank_context() {
  return slurm.context;
}

spank_err_t spank_option_register(spank_t spank, spank_option* option) {
  spank->registered.push_back(*option);
  return k_success;
}

spank_err_t spank_get_item(spank_t spank, spank_item_t item, ...) {
  std::va_list arguments;
  va_start(arguments, item);
  spank_err_t result = k_success;
  switch (static_cast<int>(item)) {
    case S_JOB_UID:
      *va_arg(arguments, uid_t*) = ::getuid();
      break;
    case S_JOB_GID:
      *va_arg(arguments, gid_t*) = ::getgid();
      break;
    case S_JOB_SUPPLEMENTARY_GIDS:
      *va_arg(arguments, gid_t**) = nullptr;
      *va_arg(arguments, int*) = 0;
      break;
    case S_JOB_ENV:
      *va_arg(arguments, char***) = spank->environment_array();
      break;
    case S_JOB_STEPID:
      *va_arg(arguments, std::uint32_t*) = spank->step;
      break;
    case S_TASK_ID:
      *va_arg(arguments, int*) = spank->task;
      break;
    case S_JOB_LOCAL_TASK_COUNT:
      *va_arg(arguments, std::uint32_t*) = spank->task_count;
      break;
    case S_JOB_ARGV:
      if (spank->word_pointers.empty()) {
        for (std::string& word : spank->words) spank->word_pointers.push_back(word.data());
      }
      *va_arg(arguments, int*) = static_cast<int>(spank->word_pointers.size());
      *va_arg(arguments, char***) = spank->word_pointers.data();
      break;
    default:
      result = ESPANK_BAD_ARG;
  }
  va_end(arguments);
  return result;
}

spank_err_t spank_setenv(spank_t spank, const char* name, const char* value, int) {
  const std::string variable = std::string(name) + "=" + value;
  if (const auto found = find(spank, name); found != spank->environment.end()) {
    *found = variable;
  } else {
    spank->environment.push_back(variable);
  }
  return k_success;
}

spank_err_t spank_unsetenv(spank_t spank, const char* name) {
  if (const auto found = find(spank, name); found != spank->environment.end()) spank->environment.erase(found);
  return k_success;
}

#define PRINTS(function, level)            \
  void function(const char* format, ...) { \
    std::va_list arguments;                \
    va_start(arguments, format);           \
    print(level, format, arguments);       \
    va_end(arguments);                     \
  }
PRINTS(slurm_error, "error")
PRINTS(slurm_info, "info")
PRINTS(slurm_spank_log, "log")
#undef PRINTS

}  // extern "C"
