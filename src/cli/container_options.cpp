#include "cli/container_options.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr::cli {
namespace {

constexpr std::string_view k_no = "no-";

// What the name is of, or short for.
const ContainerOption* find_option(std::string_view name) {
  std::vector<const ContainerOption*> found;
  for (const ContainerOption& option : k_container_options) {
    if (option.name == name) return &option;
    if (std::string_view(option.name).starts_with(name)) found.push_back(&option);
  }
  // Anything shorter is short for options of srun's own as well.
  const bool is_ours = name.starts_with("container-") || name.starts_with("no-container-");
  if (!is_ours || found.empty()) return nullptr;
  if (found.size() == 1) return found[0];
  std::vector<std::string> names;
  for (const ContainerOption* option : found) names.push_back(fmt::format("--{}", option->name));
  throw UsageError(fmt::format("--{} is ambiguous", printable(name)), fmt::format("{}", fmt::join(names, ", ")));
}

const ContainerOption& option_named(std::string_view name) {
  return *std::ranges::find(k_container_options, name,
                            [](const auto& option) { return std::string_view(option.name); });
}

// An option and its opposite are about the same.
std::string_view topic_of(const ContainerOption& option) {
  const std::string_view name = option.name;
  if (name == "container-readonly") return "container-writable";
  return name.starts_with(k_no) ? name.substr(k_no.size()) : name;
}

// Null where not doing it needs no option.
const ContainerOption* opposite_of(const ContainerOption& option) {
  const std::string_view name = option.name;
  if (name == "container-writable") return &option_named("container-readonly");
  if (name == "container-readonly") return &option_named("container-writable");
  const std::string negated = fmt::format("{}{}", k_no, name);
  const auto found =
      std::ranges::find(k_container_options, negated, [](const auto& other) { return std::string_view(other.name); });
  return found == k_container_options.end() ? nullptr : &*found;
}

bool is_one_of(const std::string& text, std::initializer_list<std::string_view> words) {
  return std::ranges::any_of(words, [&](std::string_view word) { return lowered(text) == word; });
}

std::optional<GivenOption> read_variable(const ContainerOption& option, const std::string& variable,
                                         const std::string& value) {
  if (option.argument != nullptr) return GivenOption{&option, value};
  if (is_one_of(value, {"1", "true", "yes", "y", "on", "t"})) return GivenOption{&option, ""};
  if (is_one_of(value, {"0", "false", "no", "n", "off", "f"})) {
    const ContainerOption* opposite = opposite_of(option);
    return opposite == nullptr ? std::nullopt : std::optional(GivenOption{opposite, ""});
  }
  throw UsageError(fmt::format("{}={}: yes or no?", variable, printable(value)), "it takes 1 or 0");
}

std::string value_in(const std::vector<std::string>& environment, std::string_view name) {
  for (const std::string& entry : environment) {
    if (entry.starts_with(name) && entry.size() > name.size() && entry[name.size()] == '=') {
      return entry.substr(name.size() + 1);
    }
  }
  return "";
}

}  // namespace

std::optional<TakenOption> take_container_option(const std::vector<std::string>& words, std::size_t at) {
  const std::string& word = words.at(at);
  if (!word.starts_with("--")) return std::nullopt;
  const std::size_t equals = word.find('=');
  const ContainerOption* option =
      find_option(std::string_view(word).substr(2, equals == word.npos ? equals : equals - 2));
  if (option == nullptr) return std::nullopt;
  if (option->argument == nullptr) {
    if (equals != word.npos) throw UsageError(fmt::format("--{} takes no argument", option->name));
    return TakenOption{{option, ""}, 1};
  }
  const bool is_next = equals == word.npos;
  std::string value = !is_next ? word.substr(equals + 1) : at + 1 < words.size() ? words[at + 1] : "";
  if (value.empty()) {
    throw UsageError(fmt::format("--{}: argument required", option->name),
                     fmt::format("--{}={}", option->name, option->argument));
  }
  return TakenOption{{option, std::move(value)}, is_next ? 2u : 1u};
}

std::string to_word(const GivenOption& given) {
  if (given.option->argument == nullptr) return fmt::format("--{}", given.option->name);
  return fmt::format("--{}={}", given.option->name, given.value);
}

std::vector<GivenOption> options_of_variables(const std::vector<std::string>& environment,
                                              const std::vector<GivenOption>& given) {
  std::vector<GivenOption> found;
  const auto is_settled = [&](const ContainerOption& option) {
    const auto is_about = [&](const GivenOption& other) { return topic_of(*other.option) == topic_of(option); };
    return std::ranges::any_of(given, is_about) || std::ranges::any_of(found, is_about);
  };
  for (const ContainerOption& option : k_container_options) {
    if (option.variable == nullptr) continue;
    for (const char* prefix : {"MLCTR_CONTAINER_", "PYXIS_CONTAINER_"}) {
      const std::string variable = fmt::format("{}{}", prefix, option.variable);
      const std::string value = value_in(environment, variable);
      if (value.empty() || is_settled(option)) continue;
      if (auto read = read_variable(option, variable, value)) found.push_back(std::move(*read));
    }
  }
  return found;
}

}  // namespace mlctr::cli
