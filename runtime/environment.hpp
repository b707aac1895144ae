// The environment of a container's program, in layers, each variable with who set it: the image's, over it what the
// host's environment may give, over that hooks, over that the user's own --env (DESIGN; `--explain-env`).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr::runtime {

/// Where programs are looked for when neither image nor user says so (Docker's).
inline constexpr std::string_view k_default_path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct Variable {
  std::string value;
  std::string origin;  ///< "image", "host", "/etc/mlctr/hooks.d/10-pytorch.sh", "--env"
};

/// What a file of the configuration directories makes of a variable.
struct EnvironmentEdit {
  std::string name;
  std::optional<std::string> value;  ///< absent: the variable goes
  std::string origin;                ///< the file
};

/// Whether `entry` is "NAME=VALUE" of that name.
bool is_entry_of(std::string_view entry, std::string_view name);

class Environment {
 public:
  /// Replaces what an earlier layer said.
  void set(std::string name, std::string value, std::string origin);
  /// The same for "NAME=VALUE"; text without '=' is skipped.
  void set_entries(const std::vector<std::string>& entries, const std::string& origin);
  void unset(const std::string& name) { variables_.erase(name); }
  void apply(const std::vector<EnvironmentEdit>& edits);

  bool has(std::string_view name) const { return variables_.find(name) != variables_.end(); }
  std::string_view value(std::string_view name) const;
  const std::map<std::string, Variable, std::less<>>& variables() const noexcept { return variables_; }
  /// "NAME=VALUE", sorted by name.
  std::vector<std::string> entries() const;

 private:
  std::map<std::string, Variable, std::less<>> variables_;
};

/// Adds what of the host's environment ("NAME=VALUE" each) a container may see: everything that does not steer programs
/// and libraries by the host's paths. Where the image sets a variable of the same name, the image's stays.
void add_host_environment(Environment& environment, const std::vector<std::string>& host);

/// Why the host's variable does not reach containers: "names paths of the host"; absent where it does.
std::optional<std::string> why_withheld(std::string_view name);

/// The lines of an --env-file, as docker has them: NAME=VALUE, NAME (the host's value, if it has one), # comments.
/// Throws Error with the line's number.
std::vector<std::string> parse_env_file(std::string_view text, const std::vector<std::string>& host);

/// One --env: NAME=VALUE, or NAME for the host's value. Throws UsageError where the name is none. Absent where the host
/// has no such variable.
std::optional<std::string> parse_env_option(std::string_view text, const std::vector<std::string>& host);

}  // namespace mlctr::runtime
