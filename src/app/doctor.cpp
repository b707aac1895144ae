#include "app/doctor.hpp"

#include <fmt/format.h>
#include <string.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "app/kernel_probes.hpp"
#include "app/limit_probes.hpp"
#include "app/place_probes.hpp"
#include "app/site_probes.hpp"
#include "app/trial_run.hpp"
#include "base/error.hpp"
#include "runtime/forked.hpp"

namespace mlctr {
namespace {

constexpr std::chrono::seconds k_probe_patience{10};

const Finding k_untried{ProbeStatus::untried, "not tried: it needs a user namespace"};

enum class Needs { nothing, user_namespaces };
/// helpful: whatever is wrong with it, a run may work; whether one does is what the last probe finds out.
enum class Weight { required, helpful };

struct Probe {
  const char *name, *tried;
  Weight weight;
  Needs needs;
  std::function<Finding()> run;
};

std::vector<Probe> probes(const Configuration& configuration) {
  using enum Needs;
  using enum Weight;
  return {
      {"user namespaces", "make one, map oneself and root in it", required, nothing, probe_user_namespaces},
      {"mounts", "bind the host's root, mount a tmpfs and a devpts in a user namespace", required, user_namespaces,
       probe_mounts},
      {"remapped root", "install the seccomp filter, give a file to another user", required, user_namespaces,
       probe_remapped_root},
      {"overlay", "mount one in a user namespace, change files in it", helpful, user_namespaces, probe_overlay},
      {"FUSE", "open /dev/fuse, mount with it in a user namespace", helpful, user_namespaces, probe_fuse},
      {"runtime directory", "make it, listen on a socket in it", required, nothing, probe_runtime_directory},
      {"store", "write a file, rename it", helpful, nothing, [&] { return probe_store(configuration); }},
      {"containers", "mount an overlay that keeps its changes there, change files in it", helpful, user_namespaces,
       [&] { return probe_containers(configuration); }},
      {"open files", "open 1024 at once", helpful, nothing, probe_open_files},
      {"threads", "start 32 side by side", helpful, nothing, probe_threads},
      {"address space", "reserve 64 GiB", helpful, nothing, probe_address_space},
      {"file size", "make a file of 64 GiB, a hole", helpful, nothing, probe_file_size},
      {"locked memory", "read the limit, look for InfiniBand", helpful, nothing, probe_locked_memory},
      {"inotify", "make an instance", helpful, nothing, probe_inotify},
      {"control group", "read its limits and those around it", helpful, nothing, probe_cgroup},
      {"GPU", "look for drivers, open their devices", helpful, nothing, probe_gpu},
      {"Slurm", "look for srun, read plugstack.conf", helpful, nothing, probe_slurm},
  };
}

// From the child to the parent.
std::string to_text(const Finding& finding) {
  const nlohmann::json json{{"status", finding.status}, {"text", finding.text}, {"fix", finding.fix}};
  return json.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
}

Finding from_text(const std::string& text) {
  const auto json = nlohmann::json::parse(text);
  return {json.at("status"), json.at("text"), json.at("fix")};
}

Finding run_safely(const std::function<Finding()>& probe) {
  try {
    return probe();
  } catch (const Error& error) {
    return failure(error.in_one_line());
  } catch (const std::exception& error) {
    return failure(error.what());
  }
}

Finding ask_child(const Probe& probe) {
  const auto result =
      runtime::run_forked([&](const runtime::Say& say) { say(to_text(run_safely(probe.run))); }, k_probe_patience);
  if (!result.end) return failure(fmt::format("no answer within {} s", k_probe_patience.count()));
  if (const auto* killed = std::get_if<runtime::Killed>(&*result.end)) {
    return failure(fmt::format("the probe was killed: {}", ::strsignal(killed->signal_number)));
  }
  return from_text(result.said);
}

Finding run_in_child(const Probe& probe) {
  Finding finding = ask_child(probe);
  const bool is_fatal = probe.weight == Weight::required;
  if (finding.status == ProbeStatus::failed && !is_fatal) finding.status = ProbeStatus::warning;
  return finding;
}

}  // namespace

std::vector<ProbeResult> examine_machine(const Configuration& configuration) {
  std::vector<ProbeResult> results;
  bool has_namespaces = true;
  try {
    for (const Probe& probe : probes(configuration)) {
      const bool is_possible = probe.needs == Needs::nothing || has_namespaces;
      results.push_back({probe.name, probe.tried, is_possible ? run_in_child(probe) : k_untried});
      if (results.size() == 1) has_namespaces = results.front().finding.status == ProbeStatus::ok;
    }
    Finding trial = try_run(configuration);
    if (!can_run(results))
      trial.text.resize(std::min(trial.text.find("; "), trial.text.size()));  // a line above has it
    results.push_back({"a run", "start a program in a container, as `mlctr run` does", std::move(trial)});
  } catch (const SysError& error) {  // run_forked's: nothing more can be tried
    results.push_back({"processes", "start one", no_process(error)});
  }
  return results;
}

bool can_run(const std::vector<ProbeResult>& results) {
  return std::ranges::none_of(results,
                              [](const ProbeResult& result) { return result.finding.status == ProbeStatus::failed; });
}

}  // namespace mlctr
