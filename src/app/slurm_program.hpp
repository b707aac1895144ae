// Slurm's own programs: srun, squeue.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr {

/// The one in PATH; links of that name to this program are passed over.
std::optional<std::filesystem::path> find_slurm_program(std::string_view name);

/// Becomes it; words: what follows its name. Throws SysError.
[[noreturn]] void become_slurm_program(const std::filesystem::path& program, const std::vector<std::string>& words);

/// What an srun takes to run beside what a job ("1234", "1234+1") runs already, in none of its containers, as one task a node.
std::vector<std::string> words_beside(std::string_view job, const std::vector<std::string>& nodes);

/// Takes out of this process's environment what would make an srun run from here other than one from a fresh login: the
/// variables of the step this process may be in, and wishes for containers. Call it while there is one thread.
void forget_step();

}  // namespace mlctr
