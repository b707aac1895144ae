#include "cli/srun_words.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/suggestion.hpp"

namespace mlctr::cli {
namespace {

constexpr std::string_view k_separator = ":";
constexpr const char* k_list_options = "mlctr srun --help lists them";

std::string_view long_name(std::string_view word) {
  if (!word.starts_with("--")) return {};
  return word.substr(2, word.find('=') == word.npos ? word.npos : word.find('=') - 2);
}

/// Nothing of srun's begins like that, but for its --container-id.
bool is_of_containers(std::string_view name) {
  return name.starts_with("container-") || name.starts_with("no-container");
}

[[noreturn]] void refuse_unknown(std::string_view name) {
  std::vector<std::string> names;
  for (const ContainerOption& option : k_container_options) names.emplace_back(option.name);
  const std::string near = nearest(name, names);
  throw UsageError(fmt::format("srun: no such option: --{}", printable(name)),
                   near.empty() ? k_list_options : fmt::format("did you mean --{}?", near));
}

const GivenOption* find(const std::vector<GivenOption>& given, std::string_view name) {
  const auto found = std::ranges::find_if(given, [name](const GivenOption& g) { return g.option->name == name; });
  return found == given.end() ? nullptr : &*found;
}

/// Takes words[at] if it is one of the container's; how many words that were.
std::size_t take_container_word(SrunComponent& component, const std::vector<std::string>& words, std::size_t at) {
  const std::string_view name = long_name(words[at]);
  if (name.empty() || match_srun_option(name) == SrunMatch::exact) return 0;
  if (!is_of_containers(name) && match_srun_option(name) == SrunMatch::abbreviation) return 0;
  const std::optional<TakenOption> taken = take_container_option(words, at);
  if (!taken && is_of_containers(name)) refuse_unknown(name);
  if (!taken) return 0;
  component.container.push_back(taken->given);
  return taken->words;
}

/// srun's own, untouched; how many words that were.
std::size_t take_srun_word(SrunComponent& component, const std::vector<std::string>& words, std::size_t at,
                           const SrunHelp& help) {
  const SrunWord read = read_srun_word(words, at, help);
  for (std::size_t i = 0; i < read.words; ++i) component.words.push_back(words[at + i]);
  component.options.insert(component.options.end(), read.options.begin(), read.options.end());
  return read.words;
}

/// From `at` on, up to the next component's words; where that is.
std::size_t parse_component(SrunComponent& component, const std::vector<std::string>& words, std::size_t at,
                            const SrunHelp& help) {
  while (at < words.size() && words[at].size() > 1 && words[at][0] == '-') {
    if (words[at] == "--") {
      component.words.push_back(words[at++]);
      break;
    }
    const std::size_t taken = take_container_word(component, words, at);
    at += taken > 0 ? taken : take_srun_word(component, words, at, help);
  }
  for (; at < words.size() && words[at] != k_separator; ++at) component.command.push_back(words[at]);
  return at;
}

bool has_option(const SrunComponent& component, std::string_view name) {
  return std::ranges::find(component.options, name) != component.options.end();
}

bool is_set(const std::vector<std::string>& environment, std::string_view name) {
  return std::ranges::any_of(environment, [name](std::string_view entry) {
    return entry.starts_with(name) && entry.substr(name.size()).starts_with('=');
  });
}

/// Its own options or those it inherits, with the variables' where an option is not given.
std::vector<GivenOption> container_of(const std::vector<SrunComponent>& components, std::size_t at,
                                      const std::vector<std::string>& environment) {
  while (at > 0 && components[at].container.empty()) --at;
  std::vector<GivenOption> all = components[at].container;
  for (GivenOption& variable : options_of_variables(environment, all)) all.push_back(std::move(variable));
  return all;
}

bool asks_for_container(const std::vector<GivenOption>& options) {
  return find(options, "container-image") != nullptr || find(options, "container-name") != nullptr;
}

/// Where one is wrapped, a component without a command, which runs the next one's, may not be wrapped the same way.
void give_each_its_command(std::vector<SrunComponent>& components) {
  for (std::size_t i = components.size(); i-- > 1;) {
    if (components[i - 1].command.empty()) components[i - 1].command = components[i].command;
  }
}

/// srun names a job after its command: which would be mlctr, for all of them. Within a job, a step's name never comes
/// from the variable.
bool needs_name(const SrunComponent& component, const std::vector<std::string>& environment) {
  if (has_option(component, "job-name")) return false;
  return !is_set(environment, "SLURM_JOB_NAME") || is_set(environment, "SLURM_JOB_ID");
}

void append(std::vector<std::string>& words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
}

std::vector<std::string> wrap_component(const SrunComponent& component, const std::vector<GivenOption>& container,
                                        const std::vector<std::string>& environment, const TaskStarter& starter) {
  if (has_option(component, "multi-prog")) {
    throw UsageError("--multi-prog: srun reads a file of commands, which can't be put into a container from here",
                     "a script that looks at $SLURM_PROCID can choose, or the cluster's plugin (spank_mlctr.so) can");
  }
  std::vector<std::string> words;
  if (needs_name(component, environment)) {
    const std::string name = std::filesystem::path(component.command[0]).filename().string();
    if (!name.empty()) words.push_back("--job-name=" + name);
  }
  append(words, component.words);
  // A task that may have to save stays mlctr's, outside.
  if (!starter.task.empty() && find(container, "container-save") == nullptr) words.push_back(starter.task);
  append(words, {starter.mlctr, "step", "run"});
  if (has_option(component, "quiet")) words.emplace_back("--quiet");
  for (const GivenOption& option : container) words.push_back(to_word(option));
  words.emplace_back("--");
  append(words, component.command);
  return words;
}

}  // namespace

std::vector<SrunComponent> parse_srun_words(const std::vector<std::string>& words, const SrunHelp& help) {
  std::vector<SrunComponent> components;
  std::size_t at = 0;
  do {
    at = parse_component(components.emplace_back(), words, at, help);
  } while (at++ < words.size());  // it is a ":"
  return components;
}

bool asks_for_help(const std::vector<SrunComponent>& components) {
  return std::ranges::any_of(components, [](const SrunComponent& c) { return has_option(c, "help"); });
}

std::vector<std::string> wrap_srun_words(std::vector<SrunComponent> components,
                                         const std::vector<std::string>& environment, const TaskStarter& starter) {
  std::vector<std::vector<GivenOption>> containers;
  for (std::size_t i = 0; i < components.size(); ++i) containers.push_back(container_of(components, i, environment));
  if (std::ranges::any_of(containers, asks_for_container)) give_each_its_command(components);
  std::vector<std::string> words;
  for (std::size_t i = 0; i < components.size(); ++i) {
    if (i > 0) words.emplace_back(k_separator);
    if (components[i].command.empty() || !asks_for_container(containers[i])) {
      append(words, components[i].words);
      append(words, components[i].command);
    } else {
      append(words, wrap_component(components[i], containers[i], environment, starter));
    }
  }
  return words;
}

std::vector<std::vector<GivenOption>> asked_containers(const std::vector<SrunComponent>& components,
                                                       const std::vector<std::string>& environment) {
  std::vector<std::vector<GivenOption>> asked;
  for (std::size_t i = 0; i < components.size(); ++i) {
    std::vector<GivenOption> container = container_of(components, i, environment);
    if (asks_for_container(container)) asked.push_back(std::move(container));
  }
  return asked;
}

std::vector<std::string> ineffective_options(const std::vector<SrunComponent>& components,
                                             const std::vector<std::string>& environment) {
  std::vector<std::string> names;
  for (std::size_t i = 0; i < components.size(); ++i) {
    if (asks_for_container(container_of(components, i, environment))) continue;
    for (const GivenOption& option : components[i].container) names.push_back("--" + std::string(option.option->name));
  }
  return names;
}

}  // namespace mlctr::cli
