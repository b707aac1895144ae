#include "cli/srun_options.hpp"

#include <algorithm>
#include <array>

namespace mlctr::cli {
namespace {

enum class Argument { none, optional, required };

struct Option {
  std::string_view name;
  char letter;  // 0: it has none
  Argument argument;
};

constexpr Argument none = Argument::none, optional = Argument::optional, required = Argument::required;

// An optional argument is part of the option's word: --nice=5, -K0.
constexpr std::array<Option, 136> k_options{{
    {"accel-bind", 0, required},
    {"account", 'A', required},
    {"acctg-freq", 0, required},
    {"bb", 0, required},
    {"bbf", 0, required},
    {"bcast", 0, optional},
    {"bcast-exclude", 0, required},
    {"begin", 'b', required},
    {"chdir", 'D', required},
    {"cluster-constraint", 0, required},
    {"clusters", 'M', required},
    {"cluster", 0, required},
    {"comment", 0, required},
    {"compress", 0, optional},
    {"constraint", 'C', required},
    {"container", 0, required},
    {"context", 0, required},
    {"contiguous", 0, none},
    {"core-spec", 'S', required},
    {"cores-per-socket", 0, required},
    {"cpu-bind", 0, required},
    {"cpu-freq", 0, required},
    {"cpu_bind", 0, required},
    {"cpus-per-gpu", 0, required},
    {"cpus-per-task", 'c', required},
    {"deadline", 0, required},
    {"debugger-test", 0, none},
    {"delay-boot", 0, required},
    {"dependency", 'd', required},
    {"disable-status", 'X', none},
    {"distribution", 'm', required},
    {"epilog", 0, required},
    {"error", 'e', required},
    {"exact", 0, none},
    {"exclude", 'x', required},
    {"exclusive", 0, optional},
    {"export", 0, required},
    {"extra", 0, required},
    {"extra-node-info", 'B', required},
    {"gid", 0, required},
    {"gpu-bind", 0, required},
    {"gpu-freq", 0, required},
    {"gpus", 'G', required},
    {"gpus-per-node", 0, required},
    {"gpus-per-socket", 0, required},
    {"gpus-per-task", 0, required},
    {"gres", 0, required},
    {"gres-flags", 0, required},
    {"help", 'h', none},
    {"het-group", 0, required},
    {"hint", 0, required},
    {"hold", 'H', none},
    {"immediate", 'I', optional},
    {"input", 'i', required},
    {"job-name", 'J', required},
    {"interactive", 0, none},
    {"jobid", 0, required},
    {"kill-on-bad-exit", 'K', optional},
    {"label", 'l', none},
    {"licenses", 'L', required},
    {"mail-type", 0, required},
    {"mail-user", 0, required},
    {"mcs-label", 0, required},
    {"mem", 0, required},
    {"mem-bind", 0, required},
    {"mem-per-cpu", 0, required},
    {"mem-per-gpu", 0, required},
    {"mincpus", 0, required},
    {"mpi", 0, required},
    {"msg-timeout", 0, required},
    {"multi-prog", 0, none},
    {"network", 0, required},
    {"nice", 0, optional},
    {"no-allocate", 'Z', none},
    {"no-kill", 'k', optional},
    {"nodefile", 'F', required},
    {"nodelist", 'w', required},
    {"nodes", 'N', required},
    {"ntasks", 'n', required},
    {"ntasks-per-core", 0, required},
    {"ntasks-per-gpu", 0, required},
    {"ntasks-per-node", 0, required},
    {"ntasks-per-socket", 0, required},
    {"ntasks-per-tres", 0, required},
    {"open-mode", 0, required},
    {"output", 'o', required},
    {"overcommit", 'O', none},
    {"overlap", 0, optional},
    {"oversubscribe", 's', none},
    {"pack-group", 0, required},
    {"partition", 'p', required},
    {"power", 0, required},
    {"prefer", 0, required},
    {"preserve-env", 'E', none},
    {"priority", 0, required},
    {"profile", 0, required},
    {"prolog", 0, required},
    {"propagate", 0, optional},
    {"pty", 0, optional},
    {"qos", 'q', required},
    {"quiet", 'Q', none},
    {"quit-on-interrupt", 0, none},
    {"reboot", 0, none},
    {"relative", 'r', required},
    {"reservation", 0, required},
    {"resv-ports", 0, optional},
    {"send-libs", 0, optional},
    {"signal", 0, required},
    {"slurmd-debug", 0, required},
    {"sockets-per-node", 0, required},
    {"spread-job", 0, none},
    {"switches", 0, required},
    {"task-epilog", 0, required},
    {"task-prolog", 0, required},
    {"tasks-per-node", 0, required},
    {"test-only", 0, none},
    {"thread-spec", 0, required},
    {"threads", 'T', required},
    {"threads-per-core", 0, required},
    {"time", 't', required},
    {"time-min", 0, required},
    {"tmp", 0, required},
    {"uid", 0, required},
    {"unbuffered", 'u', none},
    {"usage", 0, none},
    {"use-min-nodes", 0, none},
    {"verbose", 'v', none},
    {"version", 'V', none},
    {"wait", 'W', required},
    {"wckey", 0, required},
    {"whole", 0, none},
    {"x11", 0, optional},
    // Since 23.02, behind the others: where an abbreviation fits both, the older srun's is meant.
    {"container-id", 0, required},
    {"stepmgr", 0, none},
    {"tree-width", 0, required},
    {"tres-per-task", 0, required},
}};

/// What getopt_long(3) finds for `name`, which may be cut short; null where that is nothing.
const Option* find_long(std::string_view name) {
  const auto exact = std::ranges::find(k_options, name, &Option::name);
  if (exact != k_options.end()) return exact;
  const auto longer = std::ranges::find_if(k_options, [name](const Option& o) { return o.name.starts_with(name); });
  return longer == k_options.end() || name.empty() ? nullptr : longer;
}

const Option* find_short(char letter) {
  const auto found = std::ranges::find(k_options, letter, &Option::letter);
  return found == k_options.end() ? nullptr : found;
}

/// How the help's text writes the option: "--private-tmp", "--auks=[yes|no]", "--trace[=level]".
Argument argument_in_help(std::string_view help, std::string_view name) {
  const std::string dashed = "--" + std::string(name);
  for (std::size_t at = help.find(dashed); at != help.npos; at = help.find(dashed, at + 1)) {
    const std::string_view after = help.substr(at + dashed.size());
    if (after.starts_with("[=")) return Argument::optional;
    if (after.starts_with('=')) return Argument::required;
    if (after.empty() || after.starts_with(' ') || after.starts_with('\n')) return Argument::none;
  }
  return Argument::none;
}

SrunWord read_long(std::string_view word, bool is_last, const SrunHelp& help) {
  const std::size_t equals = word.find('=');
  const std::string_view name = word.substr(2, equals == word.npos ? word.npos : equals - 2);
  const Option* option = find_long(name);
  SrunWord read{.options = {std::string(option == nullptr ? name : option->name)}, .words = 1};
  if (equals != word.npos || is_last) return read;
  const Argument argument = option == nullptr ? argument_in_help(help(), name) : option->argument;
  if (argument == Argument::required) read.words = 2;
  return read;
}

SrunWord read_cluster(std::string_view word, bool is_last) {
  SrunWord read{.options = {}, .words = 1};
  for (std::size_t i = 1; i < word.size(); ++i) {
    const Option* option = find_short(word[i]);
    if (option == nullptr) break;  // srun ends here
    read.options.emplace_back(option->name);
    if (option->argument == Argument::none) continue;
    const bool has_rest = i + 1 < word.size();
    if (option->argument == Argument::required && !has_rest && !is_last) read.words = 2;
    break;
  }
  return read;
}

}  // namespace

SrunMatch match_srun_option(std::string_view name) {
  const Option* option = find_long(name);
  if (option == nullptr) return SrunMatch::none;
  return option->name == name ? SrunMatch::exact : SrunMatch::abbreviation;
}

SrunWord read_srun_word(const std::vector<std::string>& words, std::size_t at, const SrunHelp& help) {
  const std::string_view word = words[at];
  const bool is_last = at + 1 == words.size();
  return word.starts_with("--") ? read_long(word, is_last, help) : read_cluster(word, is_last);
}

}  // namespace mlctr::cli
