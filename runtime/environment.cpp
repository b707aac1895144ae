#include "runtime/environment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr::runtime {
namespace {

// A name, or the start of names with '*' at its end.
struct Withheld {
  std::string_view name;
  std::string_view why;
};

constexpr std::string_view k_host_paths = "names paths of the host";
constexpr std::string_view k_code = "makes programs run the host's code";
constexpr std::string_view k_login = "belongs to the login session on the host";

constexpr std::array<Withheld, 47> k_withheld{{{"PATH", k_host_paths},
                                               {"HOME", "is set for the container"},
                                               {"PWD", "is the shell's"},
                                               {"OLDPWD", "is the shell's"},
                                               {"SHLVL", "is the shell's"},
                                               {"_", "is the shell's"},
                                               {"SHELL", k_host_paths},
                                               {"BASH_ENV", k_code},
                                               {"ENV", k_code},
                                               {"BASH_FUNC_*", k_code},
                                               {"LD_*", k_code},
                                               {"LIBRARY_PATH", k_host_paths},
                                               {"CPATH", k_host_paths},
                                               {"C_INCLUDE_PATH", k_host_paths},
                                               {"CPLUS_INCLUDE_PATH", k_host_paths},
                                               {"PKG_CONFIG_PATH", k_host_paths},
                                               {"CMAKE_PREFIX_PATH", k_host_paths},
                                               {"MANPATH", k_host_paths},
                                               {"INFOPATH", k_host_paths},
                                               {"PYTHON*", k_host_paths},
                                               {"VIRTUAL_ENV*", k_host_paths},
                                               {"CONDA*", k_host_paths},
                                               {"_CE_*", k_host_paths},
                                               {"PYENV_*", k_host_paths},
                                               {"PERL*", k_host_paths},
                                               {"RUBY*", k_host_paths},
                                               {"GEM_*", k_host_paths},
                                               {"R_*", k_host_paths},
                                               {"JULIA_*", k_host_paths},
                                               {"JAVA_*", k_host_paths},
                                               {"CLASSPATH", k_host_paths},
                                               {"NODE_PATH", k_host_paths},
                                               {"GOROOT", k_host_paths},
                                               {"GOPATH", k_host_paths},
                                               {"CUDA_HOME", k_host_paths},
                                               {"CUDA_PATH", k_host_paths},
                                               {"CUDA_ROOT", k_host_paths},
                                               {"MODULE*", k_host_paths},
                                               {"LMOD_*", k_host_paths},
                                               {"LOADEDMODULES", k_host_paths},
                                               {"_LMFILES_", k_host_paths},
                                               {"LOCPATH", k_host_paths},
                                               {"TMPDIR", k_host_paths},
                                               {"XDG_*", k_login},
                                               {"DBUS_*", k_login},
                                               {"SSH_*", k_login},
                                               {"MLCTR_*", "is mlctr's own"}}};

bool matches(std::string_view pattern, std::string_view name) {
  return pattern.ends_with('*') ? name.starts_with(pattern.substr(0, pattern.size() - 1)) : name == pattern;
}

std::optional<std::string> host_value(std::string_view name, const std::vector<std::string>& host) {
  for (const std::string& entry : host) {
    if (is_entry_of(entry, name)) return entry;
  }
  return std::nullopt;
}

// POSIX asks for less, but a '=' or a NUL can't be in a name, and nobody means a space.
bool is_name(std::string_view text) {
  return !text.empty() &&
         std::ranges::none_of(text, [](char c) { return c == '=' || static_cast<unsigned char>(c) <= ' '; });
}

}  // namespace

bool is_entry_of(std::string_view entry, std::string_view name) {
  return entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name);
}

void Environment::set(std::string name, std::string value, std::string origin) {
  variables_.insert_or_assign(std::move(name), Variable{std::move(value), std::move(origin)});
}

void Environment::set_entries(const std::vector<std::string>& entries, const std::string& origin) {
  for (const std::string& entry : entries) {
    const std::size_t equals = entry.find('=');
    if (equals != std::string::npos && equals > 0) set(entry.substr(0, equals), entry.substr(equals + 1), origin);
  }
}

void Environment::apply(const std::vector<EnvironmentEdit>& edits) {
  for (const EnvironmentEdit& edit : edits) {
    if (edit.value) {
      set(edit.name, *edit.value, edit.origin);
    } else {
      unset(edit.name);
    }
  }
}

std::string_view Environment::value(std::string_view name) const {
  const auto found = variables_.find(name);
  return found == variables_.end() ? std::string_view() : std::string_view(found->second.value);
}

std::vector<std::string> Environment::entries() const {
  std::vector<std::string> entries;
  for (const auto& [name, variable] : variables_) entries.push_back(fmt::format("{}={}", name, variable.value));
  return entries;
}

std::optional<std::string> why_withheld(std::string_view name) {
  const auto found = std::ranges::find_if(k_withheld, [&](const Withheld& row) { return matches(row.name, name); });
  return found == k_withheld.end() ? std::nullopt : std::optional(std::string(found->why));
}

void add_host_environment(Environment& environment, const std::vector<std::string>& host) {
  for (const std::string& entry : host) {
    const std::size_t equals = entry.find('=');
    if (equals == std::string::npos || equals == 0) continue;
    const std::string name = entry.substr(0, equals);
    if (!environment.has(name) && !why_withheld(name)) environment.set(name, entry.substr(equals + 1), "host");
  }
}

std::optional<std::string> parse_env_option(std::string_view text, const std::vector<std::string>& host) {
  const std::string_view name = text.substr(0, text.find('='));
  if (!is_name(name)) {
    throw UsageError(fmt::format("--env {}: not a variable", printable(text)),
                     "write NAME=VALUE, or NAME for the host's");
  }
  return name.size() == text.size() ? host_value(name, host) : std::optional(std::string(text));
}

std::vector<std::string> parse_env_file(std::string_view text, const std::vector<std::string>& host) {
  std::vector<std::string> entries;
  std::size_t number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    begin = end + 1;
    ++number;
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (line.empty() || line.starts_with('#')) continue;
    try {
      if (auto entry = parse_env_option(line, host)) entries.push_back(std::move(*entry));
    } catch (const UsageError&) {
      throw Error(fmt::format("line {} is not NAME=VALUE: {}", number, printable(line)));
    }
  }
  return entries;
}

}  // namespace mlctr::runtime
