#include "spank/plugin_settings.hpp"

#include <string_view>

namespace mlctr::spank {
namespace {

enum class Truth { no, yes, neither };

Truth truth_of(std::string_view word) {
  if (word == "1" || word == "true" || word == "yes" || word == "y") return Truth::yes;
  if (word == "0" || word == "false" || word == "no" || word == "n") return Truth::no;
  return Truth::neither;
}

/// What follows NAME= in `word`; null where it is another argument.
const char* value_of(const char* word, std::string_view name) {
  if (!std::string_view(word).starts_with(name)) return nullptr;
  return word[name.size()] == '=' ? word + name.size() + 1 : nullptr;
}

bool is_only_pyxis_s(const char* word) {
  for (const std::string_view name : {"runtime_path", "importer", "use_enroot_load", "use_squashfuse"}) {
    if (value_of(word, name) != nullptr) return true;
  }
  return false;
}

Failure set_mlctr(PluginSettings& settings, const char* path) {
  if (path[0] != '/') return failed("mlctr=%s: it must be an absolute path", path);
  settings.mlctr = path;
  return {};
}

Failure set_scope(PluginSettings& settings, std::string_view name) {
  if (name != "job" && name != "global") return failed("scope is \"global\" or \"job\"");
  settings.scope = name == "job" ? Scope::job : Scope::global;
  return {};
}

Failure set(PluginSettings& settings, const char* word) {
  if (const char* path = value_of(word, "mlctr")) return set_mlctr(settings, path);
  if (const char* scope = value_of(word, "scope")) return set_scope(settings, scope);
  if (const char* scope = value_of(word, "container_scope")) return set_scope(settings, scope);
  if (const char* executed = value_of(word, "execute_entrypoint"); executed && truth_of(executed) != Truth::neither) {
    settings.entrypoint = truth_of(executed) == Truth::yes ? Entrypoint::executed : Entrypoint::left_alone;
    return {};
  }
  if (const char* support = value_of(word, "sbatch_support"); support && truth_of(support) != Truth::neither) {
    settings.sbatch_support = truth_of(support) == Truth::yes ? BatchSupport::on : BatchSupport::off;
    return {};
  }
  if (is_only_pyxis_s(word)) {
    if (settings.ignored == nullptr) settings.ignored = word;
    return {};
  }
  return failed("plugstack.conf: can't make sense of \"%s\"", word);
}

}  // namespace

PluginSettings read_settings(int count, char** words) {
  PluginSettings settings;
  for (int i = 0; i < count && !settings.failure.happened(); ++i) settings.failure = set(settings, words[i]);
  return settings;
}

}  // namespace mlctr::spank
