// `mlctr exec JOB[.STEP]` where the container is on another node.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace mlctr::cli {

/// "1234", "1234.0", "1234.batch", "1234_5.0", "1234+1"
bool is_slurm_step(std::string_view text);

/// Becomes an srun that runs `mlctr exec` on the node; its output, exit code and terminal are the command's.
/// `node`: empty for the first that has the container. `options` and `command` are mlctr exec's. Throws Error where
/// there is no such job of the user's, or no one container that can be meant.
[[noreturn]] void exec_on_node(std::string_view step, const std::string& node, const std::vector<std::string>& options,
                               const std::vector<std::string>& command);

}  // namespace mlctr::cli
