#include "app/launch_variables.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>

namespace mlctr {
namespace {

// Below what kernels give to outgoing connections by default, 32768 and up (ip_local_port_range).
constexpr unsigned k_first_port = 10'000, k_ports = 20'000;

class Variables {
 public:
  explicit Variables(const std::vector<std::string>& entries) : entries_(entries) {}

  std::string_view value(std::string_view name) const {
    for (const std::string_view entry : entries_) {
      if (entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=') {
        return entry.substr(name.size() + 1);
      }
    }
    return {};
  }

  unsigned number(std::string_view name) const {
    const std::string_view text = value(name);
    unsigned number = 0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    return number;
  }

  std::string_view first_value(std::string_view name, std::string_view otherwise) const {
    return value(name).empty() ? value(otherwise) : value(name);
  }

 private:
  const std::vector<std::string>& entries_;
};

struct Renamed {
  std::string_view from, to;
};
// As pmix 3 calls them, and what later ones read (enroot's hook has these too).
constexpr std::array<Renamed, 3> k_renamed{{{"PMIX_PTL_MODULE", "PMIX_MCA_ptl"},
                                            {"PMIX_SECURITY_MODE", "PMIX_MCA_psec"},
                                            {"PMIX_GDS_MODULE", "PMIX_MCA_gds"}}};

std::string port_of(const Variables& task) {
  // The same on every node, another for another step.
  const unsigned step = task.number("SLURM_JOB_ID") + task.number("SLURM_STEP_ID");
  return fmt::format("{}", k_first_port + step % k_ports);
}

bool has_several_tasks_here(const Variables& task) {
  return task.value("SLURM_STEP_TASKS_PER_NODE").find_first_not_of("1,(x)") != std::string_view::npos;
}

}  // namespace

std::string first_host(std::string_view node_list) {
  std::string host;
  for (std::size_t at = 0; at < node_list.size() && node_list[at] != ',';) {
    if (node_list[at] != '[') {
      host += node_list[at++];
      continue;
    }
    const std::size_t end = std::min(node_list.find(']', at), node_list.size());
    const std::string_view range = node_list.substr(at + 1, end - at - 1);
    host += range.substr(0, range.find_first_of(",-"));
    at = end + 1;
  }
  return host;
}

std::vector<runtime::Mount> pmix_mounts(const std::vector<std::string>& environment) {
  const std::string directory(Variables(environment).value("PMIX_SERVER_TMPDIR"));
  if (!directory.starts_with('/') || ::access(directory.c_str(), X_OK) != 0) return {};
  return {{.source = runtime::BindMount{directory}, .target = directory, .if_missing = runtime::IfMissing::skip}};
}

std::vector<std::string> launch_variables(const std::vector<std::string>& environment,
                                          const std::vector<std::string>& image_environment) {
  const Variables task(environment), image(image_environment);
  std::vector<std::string> found;
  const auto add = [&](std::string_view name, std::string_view value) {
    if (value.empty() || !task.value(name).empty() || !image.value(name).empty()) return;
    found.push_back(fmt::format("{}={}", name, value));
  };
  for (const Renamed& renamed : k_renamed) add(renamed.to, task.value(renamed.from));
  const std::string_view tasks = task.first_value("SLURM_STEP_NUM_TASKS", "SLURM_NTASKS");
  if (tasks.empty() || tasks == "1") return found;
  add("MASTER_ADDR", first_host(task.first_value("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST")));
  add("MASTER_PORT", port_of(task));
  add("WORLD_SIZE", tasks);
  add("RANK", task.value("SLURM_PROCID"));
  add("LOCAL_RANK", task.value("SLURM_LOCALID"));
  if (!image.value("PYTORCH_VERSION").empty() && has_several_tasks_here(task)) add("OMP_NUM_THREADS", "1");
  return found;
}

}  // namespace mlctr
