#include "app/configuration.hpp"

#include <fmt/format.h>
#include <pwd.h>
#include <toml++/toml.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <optional>

#include "app/settings.hpp"
#include "app/settings_file.hpp"
#include "base/error.hpp"
#include "base/path.hpp"
#include "base/printable.hpp"

extern char** environ;

namespace mlctr {
namespace {

constexpr std::string_view k_registries = "registries";

std::string registry_key(std::string_view registry, std::string_view key) {
  return fmt::format("{}.{}.{}", k_registries, quote_toml(registry), key);
}

template <class Owner>
std::vector<std::string> names_of(std::span<const Setting<Owner>> table) {
  std::vector<std::string> names;
  for (const Setting<Owner>& setting : table) names.emplace_back(setting.key);
  return names;
}

template <class Owner>
const Setting<Owner>* find_setting(std::span<const Setting<Owner>> table, std::string_view key) {
  for (const Setting<Owner>& setting : table) {
    if (setting.key == key) return &setting;
  }
  return nullptr;
}

bool is_path(SettingType type) {
  return type == SettingType::path || type == SettingType::path_list;
}

std::string place(const std::filesystem::path& file, const toml::source_region& region) {
  return fmt::format("{}:{}", file.string(), region.begin.line);
}

SettingInput to_input(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* truth = node.as_boolean()) return truth->get();
  if (!node.is_array()) throw UsageError("a date, a fraction or a section is no value here");
  std::vector<std::string> texts;
  for (const toml::node& element : *node.as_array()) {
    const auto* text = element.as_string();
    if (text == nullptr) throw UsageError("what is in the list must be in quotes");
    texts.push_back(text->get());
  }
  return texts;
}

// "expected value, saw '\\n'" is C, not TOML.
std::string readable(std::string_view problem) {
  constexpr std::string_view k_line_end = "saw '\\n'";
  if (!problem.ends_with(k_line_end)) return std::string(problem);
  return std::string(problem.substr(0, problem.size() - k_line_end.size())) + "and the line ends";
}

// Collects settings over each other: the later source wins, and says so in origins.
class Loader {
 public:
  explicit Loader(const ConfigurationSources& sources) : environment_(sources.environment) {
    for (const Setting<Configuration>& setting : settings())
      configuration_.origins[std::string(setting.key)] = "default";
    configuration_.store = default_store();
  }

  void read_file(const std::filesystem::path& file, SettingsOrigin origin) {
    if (file.empty()) return;
    const std::optional<std::string> text = read_settings_file(file, origin);
    if (!text) return;
    file_ = file;
    origin_ = origin;
    try {
      read_section(toml::parse(*text, file.string()), "");
    } catch (const toml::parse_error& error) {
      throw UsageError(fmt::format("{}: {}", place(file, error.source()), readable(error.description())));
    }
  }

  void read_environment() {
    for (const Setting<Configuration>& setting : settings()) {
      const std::string variable = setting_variable(setting.key);
      const std::string text = environment(variable);
      if (text.empty()) continue;
      try {
        SettingInput input = setting_input_from_text(setting.type, text);
        if (is_path(setting.type)) input = with_each_path(input, [](const auto& path) { return absolute_path(path); });
        set(configuration_, setting, input, SettingsOrigin::user);
      } catch (Error& error) {
        error.add_context(fmt::format("{}={}", variable, printable(text)));
        throw;
      }
      configuration_.origins[std::string(setting.key)] = variable;
    }
    refuse_mistyped_variables();
  }

  Configuration take() { return std::move(configuration_); }

 private:
  std::string environment(const std::string& name) const {
    const auto it = environment_.find(name);
    return it == environment_.end() ? std::string() : it->second;
  }

  std::filesystem::path default_store() const {
    const std::filesystem::path data_home = environment("XDG_DATA_HOME");
    if (data_home.is_absolute()) return data_home / "mlctr";  // XDG base directory spec: relative ones are ignored
    const std::string home = environment("HOME");
    return home.empty() ? std::filesystem::path() : std::filesystem::path(home) / ".local/share/mlctr";
  }

  void read_section(const toml::table& section, const std::string& prefix) {
    for (const auto& [name, node] : section) {
      const std::string key = prefix + std::string(name.str());
      if (key == k_registries) {
        read_registries(node);
      } else if (const auto* setting = find_setting(settings(), key)) {
        assign(configuration_, *setting, node, key);
      } else if (node.is_table() && !node.as_table()->empty()) {
        read_section(*node.as_table(), key + ".");
      } else {
        refuse_unknown(key, name.source(), names_of(settings()));
      }
    }
  }

  void read_registries(const toml::node& node) {
    if (!node.is_table()) fail(node, "registries must be sections: [registries.\"host:port\"]");
    for (const auto& [registry, section] : *node.as_table()) {
      if (!section.is_table()) fail(section, fmt::format("registries.{} must be a section", printable(registry.str())));
      for (const auto& [name, value] : *section.as_table()) {
        const std::string key = registry_key(registry.str(), name.str());
        const auto* setting = find_setting(registry_settings(), name.str());
        if (setting == nullptr) refuse_unknown(std::string(name.str()), name.source(), names_of(registry_settings()));
        assign(configuration_.registries[std::string(registry.str())], *setting, value, key);
      }
    }
  }

  template <class Owner>
  void assign(Owner& owner, const Setting<Owner>& setting, const toml::node& node, const std::string& key) {
    try {
      SettingInput input = to_input(node);
      if (is_path(setting.type)) input = with_each_path(input, [&](const auto& path) { return expand(path); });
      set(owner, setting, input, origin_);
    } catch (Error& error) {
      error.add_context(fmt::format("{}: {}", place(file_, node.source()), key));
      throw;
    }
    configuration_.origins[key] = place(file_, node.source());
  }

  // What is an admin's to set may be repeated, as in a file of what `mlctr config` listed.
  template <class Owner>
  static void set(Owner& owner, const Setting<Owner>& setting, const SettingInput& input, SettingsOrigin origin) {
    const std::string before = setting.show(owner);
    setting.assign(owner, input);
    if (setting.scope == SettingScope::everyone || origin == SettingsOrigin::system) return;
    if (setting.show(owner) != before) throw UsageError("only an admin can set this", "in /etc/mlctr/mlctr.toml");
  }

  // "~/" is the user's home; a relative path would mean another place for each directory mlctr is started in.
  std::filesystem::path expand(const std::string& path) const {
    if (path.starts_with("~/") && !environment("HOME").empty()) return environment("HOME") + path.substr(1);
    if (!path.empty() && !path.starts_with('/')) throw UsageError(fmt::format("'{}' is not absolute", printable(path)));
    return path;
  }

  template <class Change>
  static SettingInput with_each_path(SettingInput input, const Change& change) {
    if (auto* path = std::get_if<std::string>(&input)) *path = change(*path).string();
    if (auto* paths = std::get_if<std::vector<std::string>>(&input)) {
      for (std::string& path : *paths) path = change(path).string();
    }
    return input;
  }

  [[noreturn]] void fail(const toml::node& node, const std::string& why) const {
    throw UsageError(fmt::format("{}: {}", place(file_, node.source()), why));
  }

  [[noreturn]] void refuse_unknown(const std::string& key, const toml::source_region& where,
                                   const std::vector<std::string>& known) const {
    const std::string nearest = nearest_name(key, known);
    throw UsageError(
        fmt::format("{}: unknown setting '{}'", place(file_, where), printable(key)),
        nearest.empty() ? "`mlctr config` lists all settings" : fmt::format("did you mean '{}'?", nearest));
  }

  // Only within our sections: MLCTR_* has other variables than settings.
  void refuse_mistyped_variables() const {
    std::vector<std::string> known;
    for (const Setting<Configuration>& setting : settings()) known.push_back(setting_variable(setting.key));
    for (const auto& [name, text] : environment_) {
      if (!name.starts_with("MLCTR_PULL_") && !name.starts_with("MLCTR_GC_") && !name.starts_with("MLCTR_RUN_") &&
          !name.starts_with("MLCTR_GPU_") && !name.starts_with("MLCTR_CDI_")) {
        continue;
      }
      if (std::find(known.begin(), known.end(), name) != known.end()) continue;
      const std::string nearest = nearest_name(name, known);
      throw UsageError(
          fmt::format("unknown setting {} in the environment", printable(name)),
          nearest.empty() ? "`mlctr config` lists all settings" : fmt::format("did you mean {}?", nearest));
    }
  }

  const std::map<std::string, std::string>& environment_;
  Configuration configuration_;
  std::filesystem::path file_;
  SettingsOrigin origin_ = SettingsOrigin::user;
};

std::string home_of_account() {
  std::array<char, 4096> buffer{};
  struct passwd entry {};
  struct passwd* found = nullptr;
  const bool is_known =
      ::getpwuid_r(::geteuid(), &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr;
  return is_known && entry.pw_dir != nullptr ? entry.pw_dir : "";
}

}  // namespace

ConfigurationSources ConfigurationSources::of_process() {
  ConfigurationSources sources{.system_file = "/etc/mlctr/mlctr.toml", .user_file = {}, .environment = {}};
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::size_t equals = text.find('=');
    if (equals != std::string_view::npos) sources.environment.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  // Started by a daemon, there may be no HOME; a relative one would mean another place in each directory.
  std::string& home = sources.environment["HOME"];
  if (!home.starts_with('/')) home = home_of_account();
  const std::filesystem::path config_home = sources.environment["XDG_CONFIG_HOME"];
  if (config_home.is_absolute()) {
    sources.user_file = config_home / "mlctr/mlctr.toml";
  } else if (!home.empty()) {
    sources.user_file = std::filesystem::path(home) / ".config/mlctr/mlctr.toml";
  }
  return sources;
}

Configuration load_configuration(const ConfigurationSources& sources) {
  Loader loader(sources);
  loader.read_file(sources.system_file, SettingsOrigin::system);
  loader.read_file(sources.user_file, SettingsOrigin::user);
  loader.read_environment();
  Configuration configuration = loader.take();
  configuration.system_directory = sources.system_file.parent_path();
  configuration.user_directory = sources.user_file.parent_path();
  return configuration;
}

Configuration load_configuration() {
  return load_configuration(ConfigurationSources::of_process());
}

std::vector<SettingValue> list_settings(const Configuration& configuration) {
  const auto origin_of = [&](const std::string& key) {
    const auto it = configuration.origins.find(key);
    return it == configuration.origins.end() ? std::string("default") : it->second;
  };
  std::vector<SettingValue> values;
  for (const Setting<Configuration>& setting : settings()) {
    const std::string key(setting.key);
    values.push_back(
        {key, setting.show(configuration), origin_of(key), setting_variable(key), std::string(setting.description)});
  }
  for (const auto& [registry, section] : configuration.registries) {
    for (const Setting<RegistryConfiguration>& setting : registry_settings()) {
      const std::string key = registry_key(registry, setting.key);
      values.push_back({key, setting.show(section), origin_of(key), "", std::string(setting.description)});
    }
  }
  return values;
}

}  // namespace mlctr
