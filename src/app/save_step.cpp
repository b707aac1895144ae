#include "app/save_step.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <string_view>

#include "app/open_stores.hpp"
#include "app/remove_container.hpp"
#include "app/runtime_directory.hpp"
#include "app/save_container.hpp"
#include "app/step_holder.hpp"
#include "base/ascii.hpp"
#include "runtime/process_table.hpp"

namespace mlctr {
namespace {

constexpr std::string_view k_stored_prefix = "step-";
constexpr std::size_t k_max_node_bytes = 24;  // a container's name has 64

// Containers may lie where other nodes see them, too.
std::string this_node() {
  utsname names{};
  ::uname(&names);
  std::string node = std::string(names.nodename).substr(0, k_max_node_bytes);
  std::ranges::replace_if(
      node, [](char c) { return !is_alphanumeric(c); }, '_');
  return node;
}

// "step-JOB.STEP.RESTART-NODE-KEEPER"
std::string own_name(const SlurmStep& step) {
  return fmt::format("{}{}.{}.{}-{}-{}", k_stored_prefix, step.job, step.step, step.restart, this_node(), step.keeper);
}

// The process that such a container ends with; absent where it is not one of this node.
std::optional<pid_t> keeper_of(std::string_view name) {
  if (!name.starts_with(k_stored_prefix)) return std::nullopt;
  const std::size_t dash = name.rfind('-');
  if (!name.substr(0, dash).ends_with("-" + this_node())) return std::nullopt;
  const std::string_view digits = name.substr(dash + 1);
  pid_t pid = 0;
  const auto [end, mistake] = std::from_chars(digits.data(), digits.data() + digits.size(), pid);
  return mistake == std::errc{} && end == digits.data() + digits.size() && pid > 0 ? std::optional(pid) : std::nullopt;
}

std::uint64_t save(const Configuration& configuration, const StepRequest& request, ProgressBoard& board,
                   std::stop_token stop) {
  return save_container(configuration,
                        {.container = stored_name(request),
                         .destination = request.save_as,
                         .overwrite = Overwrite::replace,
                         .running = RunningContainers::take_as_is},  // other steps may be in it
                        board, std::move(stop));
}

// Where a background process of the tasks is in it still, a later step that saves does it.
void remove_unnamed(const Configuration& configuration, const StepRequest& request) {
  if (!request.name.empty()) return;
  remove_idle_container(configuration, open_runtime_directory(), stored_name(request));
}

}  // namespace

std::string stored_name(const StepRequest& request) {
  return !request.name.empty() || request.save_as.empty() ? request.name : own_name(request.step);
}

std::vector<std::string> dead_step_containers(const ContainerStore& containers) {
  std::vector<std::string> dead;
  for (const StoredContainer& container : containers.list().containers) {
    const auto keeper = keeper_of(container.record.name);
    if (keeper && !runtime::open_process(*keeper)) dead.push_back(container.record.name);
  }
  return dead;
}

bool is_last_of_step(const StepRequest& request) {
  const auto answer = ask_step(key_of(request.step), k_ended);
  return answer && answer->is_last;
}

std::uint64_t save_step(const Configuration& configuration, const StepRequest& request, ProgressBoard& board,
                        std::stop_token stop) {
  ask_step(key_of(request.step), k_leave);  // where the plugin asks, its holder is still there
  try {
    const std::uint64_t bytes = save(configuration, request, board, std::move(stop));
    remove_unnamed(configuration, request);
    return bytes;
  } catch (...) {
    remove_unnamed(configuration, request);
    throw;
  }
}

}  // namespace mlctr
