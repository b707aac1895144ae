#include "spank/batch_script.hpp"

#include <fcntl.h>
#include <slurm/slurm.h>

#include <cstdint>
#include <cstdio>

#include "spank/descriptor.hpp"

namespace mlctr::spank {

Failure keep_batch_script(spank_t spank) {
  std::uint32_t step = 0;
  if (::spank_get_item(spank, S_JOB_STEPID, &step) != ESPANK_SUCCESS || step != SLURM_BATCH_SCRIPT) return {};
  int count = 0;
  char** words = nullptr;
  if (::spank_get_item(spank, S_JOB_ARGV, &count, &words) != ESPANK_SUCCESS || count < 1 || words[0] == nullptr) {
    return failed("Slurm doesn't say which batch script to run");
  }
  // Not close-on-exec: the script's interpreter opens it by this name. High, as scripts use the low ones by number.
  const Descriptor script(::open(words[0], O_RDONLY | O_CLOEXEC));
  const int kept = script ? ::fcntl(script.get(), F_DUPFD, 64) : -1;
  if (kept < 0) return failed_by_errno("cannot open the batch script %s", words[0]);
  static char path[40];  // for as long as the process is Slurm's
  std::snprintf(path, sizeof(path), "/proc/self/fd/%d", kept);
  // The array itself is what Slurm hands to exec.
  words[0] = path;
  return {};
}

}  // namespace mlctr::spank
