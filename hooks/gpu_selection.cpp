#include "hooks/gpu_selection.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "hooks/list_words.hpp"
#include "hooks/whole_number.hpp"

namespace mlctr::hooks {
namespace {

using Which = GpuRequest::Which;

bool is_of_step(const NvidiaGpu& gpu, const GpuChoice& choice) {
  return !choice.of_step || std::ranges::find(*choice.of_step, gpu.minor) != choice.of_step->end();
}

std::string describe(const NvidiaGpu& gpu) {
  return fmt::format("{} ({}, {})", gpu.index, printable(gpu.uuid), printable(gpu.bus));
}

std::string known(const GpuChoice& choice) {
  std::vector<std::string> names;
  for (const NvidiaGpu& gpu : choice.usable) {
    if (is_of_step(gpu, choice)) names.push_back(describe(gpu));
  }
  return names.empty() ? "there is none to use" : fmt::format("there are: {}", fmt::join(names, ", "));
}

bool is_uuid_like(std::string_view uuid, std::string_view name) {
  return name.size() > 4 && lowered(uuid).starts_with(lowered(name)) && name.starts_with("GPU-");
}

// A GPU, or one of its slices, by one name.
class Finder {
 public:
  explicit Finder(GpuChoice& choice) : choice_(choice) {}

  SelectedGpu find(const std::string& name) {
    if (auto found = find_now(name)) return *found;
    if (choice_.ask_nvml && (name.starts_with("MIG-") || name.starts_with("GPU-"))) {
      choice_.ask_nvml(choice_.usable);
      if (auto found = find_now(name)) return *found;
    }
    throw Error(fmt::format("no GPU {} here", printable(name)), known(choice_));
  }

 private:
  std::optional<SelectedGpu> find_now(const std::string& name) {
    if (const auto index = whole_number(name)) return whole([&](const NvidiaGpu& gpu) { return gpu.index == *index; });
    if (name.starts_with("GPU-")) {
      return whole([&](const NvidiaGpu& gpu) { return is_uuid_like(gpu.uuid, name); });
    }
    if (name.starts_with("MIG-")) return find_mig_uuid(name);
    if (const std::string bus = normal_bus_id(name); !bus.empty()) {
      return whole([&](const NvidiaGpu& gpu) { return normal_bus_id(gpu.bus) == bus; });
    }
    return find_mig_index(name);
  }

  template <class Is>
  std::optional<SelectedGpu> whole(const Is& is) const {
    const auto found = std::ranges::find_if(choice_.usable, is);
    return found == choice_.usable.end() ? std::nullopt : std::optional(SelectedGpu{*found, {}});
  }

  // "MIG-<uuid>", and "MIG-GPU-<uuid>/GI/CI" of drivers before 470.
  std::optional<SelectedGpu> find_mig_uuid(const std::string& name) const {
    for (const NvidiaGpu& gpu : choice_.usable) {
      for (const MigDevice& mig : gpu.mig) {
        const std::string old = fmt::format("MIG-{}/{}/{}", gpu.uuid, mig.gpu_instance, mig.compute_instance);
        if (mig.uuid == name || old == name) return SelectedGpu{gpu, {mig}};
      }
    }
    return std::nullopt;
  }

  std::optional<SelectedGpu> find_mig_index(const std::string& name) const {
    const std::size_t colon = name.find(':');
    if (colon == std::string::npos) return std::nullopt;
    const auto index = whole_number(name.substr(0, colon)), slice = whole_number(name.substr(colon + 1));
    for (const NvidiaGpu& gpu : choice_.usable) {
      if (index == gpu.index && slice && *slice < gpu.mig.size()) return SelectedGpu{gpu, {gpu.mig[*slice]}};
    }
    return std::nullopt;
  }

  GpuChoice& choice_;
};

// Two names may mean one GPU, or two slices of it.
void add(std::vector<SelectedGpu>& selected, SelectedGpu one) {
  const auto there =
      std::ranges::find_if(selected, [&](const SelectedGpu& each) { return each.gpu.minor == one.gpu.minor; });
  if (there == selected.end()) {
    selected.push_back(std::move(one));
  } else if (one.mig.empty()) {
    there->mig.clear();
  } else if (!there->mig.empty()) {
    there->mig.insert(there->mig.end(), one.mig.begin(), one.mig.end());
  }
}

std::vector<SelectedGpu> all_of_step(const GpuChoice& choice) {
  std::vector<SelectedGpu> selected;
  for (const NvidiaGpu& gpu : choice.usable) {
    if (is_of_step(gpu, choice)) selected.push_back({gpu, {}});
  }
  return selected;
}

// Those first that the job looks at.
std::vector<SelectedGpu> first_of_step(unsigned count, const GpuChoice& choice) {
  std::vector<SelectedGpu> all = all_of_step(choice);
  if (count > all.size()) {
    throw Error(fmt::format("{} GPUs are asked for, and {} {} here", count, all.size(), all.size() == 1 ? "is" : "are"),
                known(choice));
  }
  std::vector<std::string> looked_at;
  for (const std::string_view word : list_words(choice.visible)) looked_at.emplace_back(word);
  std::stable_partition(all.begin(), all.end(), [&](const SelectedGpu& each) {
    return std::ranges::any_of(looked_at, [&](const std::string& name) {
      return whole_number(name) == each.gpu.index || is_uuid_like(each.gpu.uuid, name);
    });
  });
  all.resize(count);
  return all;
}

}  // namespace

std::vector<SelectedGpu> select_gpus(const GpuRequest& request, GpuChoice choice) {
  std::vector<SelectedGpu> selected;
  switch (request.which) {
    case Which::nothing:
    case Which::none:
      break;
    case Which::all:
      selected = all_of_step(choice);
      break;
    case Which::count:
      selected = first_of_step(request.count, choice);
      break;
    case Which::named:
      for (const std::string& name : request.names) {
        SelectedGpu one = Finder(choice).find(name);
        if (!is_of_step(one.gpu, choice)) {
          throw Error(fmt::format("GPU {} is not among those the Slurm step was given", printable(name)),
                      known(choice));
        }
        add(selected, std::move(one));
      }
      break;
  }
  std::ranges::sort(selected, {}, [](const SelectedGpu& each) { return each.gpu.index; });
  return selected;
}

}  // namespace mlctr::hooks
