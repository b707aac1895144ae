// The containers that steps of Slurm's jobs have: on this node, and on all nodes of running jobs, which are asked by a
// step of each job's own (`mlctr step list`).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/slurm_queue.hpp"

namespace mlctr {

struct SlurmContainer {
  std::string job{}, step{};  ///< "1234", "0" or "batch"
  std::string node{}, user{};
  std::string id{};    ///< what `mlctr exec` takes on the node
  std::string name{};  ///< empty: it ends with the step
  std::string image{};
  std::size_t processes = 0;
  std::int64_t started_at = 0;  ///< seconds since 1970

  bool operator==(const SlurmContainer&) const = default;
};

/// Of this user, on this machine.
std::vector<SlurmContainer> list_node_containers();

/// What a node prints of its containers, a line each, none longer than srun passes on whole; the last line says that
/// nothing is missing.
std::string to_lines(const std::string& node, const std::vector<SlurmContainer>& containers);

struct SilentNode {
  std::string node, job, cause;
};

struct NodesAnswer {
  std::vector<SlurmContainer> containers{};  ///< by job, step and node
  std::vector<SilentNode> silent{};
};

/// `text`: what the nodes printed, in any order; `asked`: who should have.
NodesAnswer parse_lines(std::string_view text, const std::vector<std::string>& asked, std::string_view job);

/// Asks the jobs' nodes at once; whoever has not answered by then is silent. Call forget_step() before. Throws Error
/// where there is no srun.
NodesAnswer ask_nodes(const std::vector<SlurmJob>& jobs, std::chrono::seconds patience);

/// The same container once: several jobs may have been asked on its node.
void sort_containers(std::vector<SlurmContainer>& containers);

/// Slurm's name of this machine.
std::string name_of_node();

}  // namespace mlctr
