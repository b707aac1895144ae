#include "app/torch_variables.hpp"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <optional>

#include "app/host_list.hpp"
#include "app/slurm_step.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "runtime/environment.hpp"

namespace mlctr {
namespace {

constexpr OutgoingPorts k_wanted{10'000, 29'999};  // below what kernels give away by default
constexpr unsigned k_few = 1'000;
constexpr unsigned k_between_steps = 7'919;  // so that a job's second step does not meet the next job's first

class Variables {
 public:
  explicit Variables(const std::vector<std::string>& entries) : entries_(entries) {}

  std::optional<std::string_view> find(std::string_view name) const {
    for (const std::string& entry : entries_) {
      if (runtime::is_entry_of(entry, name)) return std::string_view(entry).substr(name.size() + 1);
    }
    return std::nullopt;
  }

  std::string_view value(std::string_view name) const { return find(name).value_or(std::string_view()); }

  unsigned number(std::string_view name) const {
    const std::string_view text = value(name);
    unsigned number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
  }

 private:
  const std::vector<std::string>& entries_;
};

unsigned count(OutgoingPorts ports) {
  return ports.last < ports.first ? 0 : ports.last - ports.first + 1;
}

// Nobody's but for whoever asks for one by its number.
OutgoingPorts free_ports(OutgoingPorts outgoing) {
  if (outgoing.first > k_wanted.last || outgoing.last < k_wanted.first) return k_wanted;
  constexpr unsigned k_first_unprivileged = 1'024, k_last = 65'535;
  const OutgoingPorts below{k_first_unprivileged, outgoing.first == 0 ? 0 : outgoing.first - 1};
  const OutgoingPorts above{outgoing.last + 1, k_last};
  const OutgoingPorts larger = count(below) > count(above) ? below : above;
  return count(larger) < k_few ? k_wanted : larger;
}

std::string port_of(const Variables& task, OutgoingPorts outgoing) {
  const OutgoingPorts ports = free_ports(outgoing);
  const unsigned step = task.number("SLURM_JOB_ID") + k_between_steps * task.number("SLURM_STEP_ID");
  return fmt::format("{}", ports.first + step % count(ports));
}

bool are_wanted(std::string_view choice, bool is_torch_image) {
  if (choice.empty() || choice == "always") return true;
  if (choice == "image") return is_torch_image;
  if (choice == "never") return false;
  throw UsageError(fmt::format("{}={}: there is no such choice", k_torch_choice, printable(choice)),
                   "it is always, image (those with PYTORCH_VERSION) or never");
}

}  // namespace

OutgoingPorts outgoing_ports() {
  std::ifstream file("/proc/sys/net/ipv4/ip_local_port_range");
  OutgoingPorts ports;
  if (file >> ports.first >> ports.last) return ports;
  return {};
}

std::vector<std::string> torch_variables(const std::vector<std::string>& environment,
                                         const std::vector<std::string>& image_environment, OutgoingPorts outgoing) {
  const Variables task(environment), image(image_environment);
  const bool is_torch_image = !image.value("PYTORCH_VERSION").empty();
  if (!are_wanted(task.value(k_torch_choice), is_torch_image)) return {};
  const std::string_view tasks = task.value("SLURM_STEP_NUM_TASKS");  // a batch script has none
  if (tasks.empty() || tasks == "1") return {};
  std::vector<std::string> found;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (value.empty() || task.find(name) || image.find(name)) return;
    found.push_back(fmt::format("{}={}", name, value));
  };
  add("MASTER_ADDR", first_host(task.value("SLURM_STEP_NODELIST")));
  add("MASTER_PORT", port_of(task, outgoing));
  add("WORLD_SIZE", tasks);
  add("RANK", task.value("SLURM_PROCID"));
  add("LOCAL_RANK", task.value("SLURM_LOCALID"));
  const std::string tasks_per_node(task.value("SLURM_STEP_TASKS_PER_NODE"));
  const unsigned tasks_here = tasks_of_node(tasks_per_node, task.number("SLURM_NODEID"));
  if (is_torch_image && tasks_here > 1) add("OMP_NUM_THREADS", "1");
  return found;
}

}  // namespace mlctr
