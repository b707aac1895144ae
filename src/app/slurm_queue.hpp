// Jobs that Slurm has, as squeue(1) tells of them.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace mlctr {

/// Slurm's controller does not answer, or this machine is of no cluster although Slurm's commands are there.
class SlurmUnreachable : public Error {
 public:
  using Error::Error;
};

struct SlurmJob {
  std::string id{};     ///< "1234", also of an array's part; "1234+1" of a heterogeneous job's
  std::string state{};  ///< "RUNNING"
  std::string reason{};
  uid_t uid = 0;
  std::vector<std::string> nodes{};

  bool runs() const { return state == "RUNNING"; }
};

/// Of this user. Empty where there is no squeue. Throws SlurmUnreachable.
std::vector<SlurmJob> list_running_jobs();

/// The ids of this user's that have not ended (pending, running, suspended, requeued); "1234" of "1234+1". Throws
/// SlurmUnreachable, also where there is no squeue.
std::vector<std::string> list_unfinished_jobs();

/// `id`: "1234", "1234_5" or "1234+1". Empty where Slurm knows of none such that has not ended. Throws
/// SlurmUnreachable.
std::vector<SlurmJob> find_slurm_jobs(const std::string& id);

/// The jobs in what squeue prints, a line each; what is none is left out.
std::vector<SlurmJob> parse_queue(std::string_view text);

}  // namespace mlctr
