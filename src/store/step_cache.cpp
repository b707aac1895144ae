#include "store/step_cache.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "store/sharing.hpp"
#include "store/store_names.hpp"

namespace mlctr {
namespace {

constexpr std::uint64_t k_max_entry_bytes = 4096;
constexpr std::string_view k_step_extension = ".json";

std::optional<CachedStep> parse(const std::string& text) {
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (!json.is_object() || !json.contains("layer") || !json.contains("tar_bytes")) return std::nullopt;
  const auto& layer = json["layer"];
  const auto& bytes = json["tar_bytes"];
  if (!bytes.is_number_unsigned() || !(layer.is_null() || layer.is_string())) return std::nullopt;
  CachedStep step{.layer = std::nullopt, .tar_bytes = bytes};
  try {
    if (layer.is_string()) step.layer = Digest::parse(layer.get_ref<const std::string&>());
  } catch (const Error&) {
    return std::nullopt;
  }
  return step;
}

}  // namespace

std::filesystem::path StepCache::path_of(const Digest& key) const {
  return store_.root() / "steps" / (key.hex() + std::string(k_step_extension));
}

std::optional<CachedStep> StepCache::find(const Digest& key) const {
  const std::filesystem::path path = path_of(key);
  const std::string text = read_file_if_any(path, k_max_entry_bytes);
  if (text.empty()) return std::nullopt;
  auto step = parse(text);
  if (step && step->layer && !store_.touch_layer(*step->layer)) return std::nullopt;
  ::utimensat(AT_FDCWD, path.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
  return step;
}

void StepCache::put(const Digest& key, const CachedStep& step) const {
  make_store_directory(store_.root() / "steps");
  const nlohmann::ordered_json json{{"layer", step.layer ? nlohmann::ordered_json(step.layer->to_string()) : nullptr},
                                    {"tar_bytes", step.tar_bytes}};
  write_file_atomically(path_of(key), json.dump() + "\n");
}

std::optional<Lock> StepCache::try_lock(const Digest& key) const {
  return Lock::try_acquire(store_.root() / "locks" / ("step-" + key.hex()));
}

std::vector<CachedStepEntry> StepCache::entries() const {
  std::vector<CachedStepEntry> entries;
  for (const std::string& name : list_directory(store_.root() / "steps")) {
    if (!name.ends_with(k_step_extension)) continue;
    const auto key = parse_digest_name("sha256-" + name.substr(0, name.size() - k_step_extension.size()));
    struct stat status {};
    if (!key || ::lstat(path_of(*key).c_str(), &status) != 0) continue;
    const auto step = parse(read_file_if_any(path_of(*key), k_max_entry_bytes));
    entries.push_back({*key, step ? step->layer : std::nullopt, modification_time(status)});
  }
  return entries;
}

bool StepCache::remove(const Digest& key) const {
  return ::unlink(path_of(key).c_str()) == 0;
}

}  // namespace mlctr
