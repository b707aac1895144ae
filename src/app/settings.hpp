// The table of settings: each one's name, what it takes, where it goes and what it is for. Everything else about
// settings (files, variables, `mlctr config`) is derived from it.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "app/configuration.hpp"

namespace mlctr {

/// A value as TOML gives it. Paths in it are absolute already.
using SettingInput = std::variant<std::string, std::int64_t, bool, std::vector<std::string>>;

enum class SettingType { boolean, choice, integer, size, duration, path, path_list, url_list };

/// system: what only an admin may decide; it stands in the system's file.
enum class SettingScope { everyone, system };

/// Owner: Configuration, or RegistryConfiguration for what stands in a [registries."…"] section.
template <class Owner>
struct Setting {
  std::string_view key;
  SettingType type;
  std::string_view description;
  /// Throws UsageError that says what the setting takes.
  std::function<void(Owner&, const SettingInput&)> assign;
  /// As a TOML value.
  std::function<std::string(const Owner&)> show;
  SettingScope scope = SettingScope::everyone;
};

std::span<const Setting<Configuration>> settings();
std::span<const Setting<RegistryConfiguration>> registry_settings();

/// "pull.threads" -> "MLCTR_PULL_THREADS"
std::string setting_variable(std::string_view key);

/// A variable's text as the input that a file would give: lists are separated by ':' (paths) or ',' (URLs).
SettingInput setting_input_from_text(SettingType type, const std::string& text);

/// The known name nearest to a mistyped one; empty where none is near.
std::string nearest_name(std::string_view mistyped, std::span<const std::string> known);

/// "\"…\"" with TOML's escapes.
std::string quote_toml(std::string_view text);

}  // namespace mlctr
