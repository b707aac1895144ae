// Runs mlctr in a task, which is the job's user already, and waits for it.
#pragma once

#include <sys/types.h>

#include "spank/failure.hpp"

namespace mlctr::spank {

struct HelperStart {
  const char* path;
  char* const* words;        ///< null-terminated, words[0] too
  char* const* environment;  ///< null-terminated
  int socket = -1;           ///< becomes descriptor 3; all others but standard error, where output goes too, are closed
};

struct HelperEnd {
  Failure not_started;  ///< as by exec
  int status = 0;       ///< as waitpid gives it, where it was started
};

HelperEnd run_helper(const HelperStart& start);

inline constexpr int k_helper_socket = 3;

}  // namespace mlctr::spank
