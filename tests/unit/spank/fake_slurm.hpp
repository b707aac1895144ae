// Slurm as its plugins see it, without Slurm: the spank_… functions, which the plugin finds in the program that loads
// it.
#pragma once

#include <string>
#include <vector>

#include "spank/slurm.hpp"

/// Slurm's own, behind spank_t.
struct spank_handle {
  spank_context_t context = S_CTX_REMOTE;
  std::vector<std::string> environment;  ///< the job's
  std::vector<std::string> words{"/bin/true"};
  std::uint32_t step = 0;
  std::uint32_t task_count = 1;
  int task = 0;
  std::vector<spank_option> registered;
  std::vector<char*> environment_pointers;
  std::vector<char*> word_pointers;

  char** environment_array();
};

namespace mlctr::test {

/// What spank_context() says. Messages go to standard error as "error: …", "info: …", "log: …".
extern spank_handle slurm;

}  // namespace mlctr::test
