#include "app/launch_variables.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "runtime/environment.hpp"

namespace mlctr {
namespace {

std::optional<std::string> find_value(const std::vector<std::string>& entries, std::string_view name) {
  for (const std::string& entry : entries) {
    if (runtime::is_entry_of(entry, name)) return entry.substr(name.size() + 1);
  }
  return std::nullopt;
}

struct Renamed {
  std::string_view from, to;
};
// As pmix 3 calls them, and what later ones read (enroot's hook has these too).
constexpr std::array<Renamed, 3> k_renamed{{{"PMIX_PTL_MODULE", "PMIX_MCA_ptl"},
                                            {"PMIX_SECURITY_MODE", "PMIX_MCA_psec"},
                                            {"PMIX_GDS_MODULE", "PMIX_MCA_gds"}}};

}  // namespace

std::vector<runtime::Mount> pmix_mounts(const std::vector<std::string>& environment) {
  const std::string directory = find_value(environment, "PMIX_SERVER_TMPDIR").value_or("");
  if (!directory.starts_with('/') || ::access(directory.c_str(), X_OK) != 0) return {};
  return {{.source = runtime::BindMount{directory}, .target = directory, .if_missing = runtime::IfMissing::skip}};
}

std::vector<std::string> pmix_variables(const std::vector<std::string>& environment,
                                        const std::vector<std::string>& image_environment) {
  std::vector<std::string> found;
  for (const Renamed& renamed : k_renamed) {
    const std::string value = find_value(environment, renamed.from).value_or("");
    if (value.empty() || find_value(environment, renamed.to) || find_value(image_environment, renamed.to)) continue;
    found.push_back(fmt::format("{}={}", renamed.to, value));
  }
  return found;
}

std::string pmix_obstacle(const std::vector<std::string>& environment, runtime::Remap remap) {
  const std::string tasks = find_value(environment, "SLURM_STEP_NUM_TASKS").value_or("1");
  const bool is_first_of_several = tasks != "1" && find_value(environment, "SLURM_PROCID").value_or("") == "0";
  if (remap != runtime::Remap::root || !is_first_of_several || !find_value(environment, "PMIX_NAMESPACE")) return "";
  return "PMIx lets no client in that is root inside: MPI programs of this step will not find each other. Without "
         "--container-remap-root they do, as root with --mpi=pmi2";
}

}  // namespace mlctr
