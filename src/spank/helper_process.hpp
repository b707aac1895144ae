// Runs mlctr, as the job's user, and waits for it.
#pragma once

#include <sys/types.h>

#include "spank/failure.hpp"

namespace mlctr::spank {

/// Whom a process of slurmstepd's, which is root, must become first. Those of a task are the user already.
struct JobUser {
  uid_t uid;
  gid_t gid;
  int group_count;
  const gid_t* groups;
};

struct HelperStart {
  const char* path;
  char* const* words;        ///< null-terminated, words[0] too
  char* const* environment;  ///< null-terminated
  int socket = -1;           ///< becomes descriptor 3; all others but standard error, where output goes too, are closed
  const JobUser* user = nullptr;
  const char* directory = nullptr;  ///< null: the caller's
};

struct HelperEnd {
  Failure not_started;  ///< as by exec
  int status = 0;       ///< as waitpid gives it, where it was started
};

HelperEnd run_helper(const HelperStart& start);

inline constexpr int k_helper_socket = 3;

}  // namespace mlctr::spank
