#include "spank/given_options.hpp"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "spank/option_checks.hpp"

namespace mlctr::spank {
namespace {

struct Contrary {
  Option one;
  Option other;
};
constexpr std::array<Contrary, 4> k_contraries{{{Option::mount_home, Option::no_mount_home},
                                                {Option::remap_root, Option::no_remap_root},
                                                {Option::entrypoint, Option::no_entrypoint},
                                                {Option::writable, Option::readonly}}};

/// The option that says the opposite; the option itself where there is none.
Option contrary_of(Option option) {
  for (const Contrary& pair : k_contraries) {
    if (pair.one == option) return pair.other;
    if (pair.other == option) return pair.one;
  }
  return option;
}

/// What a salloc around this srun was given: Slurm takes it from such a variable before the command line. Null:
/// nothing.
const char* argument_of_allocation(Option option) {
  char name[128];
  std::snprintf(name, sizeof(name), "SLURM_SPANK__SLURM_SPANK_OPTION_mlctr_%s", row(option).name);
  for (char* c = name; *c != '\0'; ++c) {
    if (*c == '-') *c = '_';
  }
  return std::getenv(name);
}

/// Whether `variable` is PREFIXNAME=, with something behind it.
bool is_set(std::string_view variable, std::string_view prefix, std::string_view name) {
  if (!variable.starts_with(prefix)) return false;
  variable.remove_prefix(prefix.size());
  return variable.starts_with(name) && variable.size() > name.size() + 1 && variable[name.size()] == '=';
}

/// "NAME=VALUE" as it is in `environment`; null where it isn't.
const char* find_variable(Option option, char* const* environment) {
  const char* const name = row(option).variable;
  if (name == nullptr || environment == nullptr) return nullptr;
  for (const std::string_view prefix : {"MLCTR_CONTAINER_", "PYXIS_CONTAINER_"}) {
    for (char* const* variable = environment; *variable != nullptr; ++variable) {
      if (is_set(*variable, prefix, name)) return *variable;
    }
  }
  return nullptr;
}

const char* value_in(const char* variable) {
  return variable == nullptr ? nullptr : std::strchr(variable, '=') + 1;
}

}  // namespace

Failure GivenOptions::put(Option option, const char* argument) {
  const OptionRow& wanted = row(option);
  if (wanted.argument != nullptr) {
    const Failure wrong = check_argument(option, argument);
    if (wrong.happened()) return failed("--%s: %s", wanted.name, wrong.text.data());
  }
  char* word = nullptr;
  const int length = wanted.argument != nullptr ? ::asprintf(&word, "--%s=%s", wanted.name, argument)
                                                : ::asprintf(&word, "--%s", wanted.name);
  if (length < 0) return failed("--%s: no memory", wanted.name);
  char*& place = words_[static_cast<std::size_t>(option)];
  std::free(place);
  place = word;
  return {};
}

Failure GivenOptions::take_typed(Option option, const char* argument) {
  const Option contrary = contrary_of(option);
  if (contrary != option && has(contrary)) {
    const char* const where = argument_of_allocation(contrary) == nullptr ? "" : ", the first one to salloc";
    return failed("both --%s and --%s were given%s", row(contrary).name, row(option).name, where);
  }
  const char* const before = this->argument(option);
  if (before == nullptr) return put(option, argument);
  if (argument != nullptr && std::strcmp(before, argument) == 0) return {};
  const char* const allocation = argument_of_allocation(option);
  if (allocation != nullptr && std::strcmp(before, allocation) == 0) return put(option, argument);
  // Slurm forwards the last one only, so that two would become one without a word.
  return failed("--%s was given twice, with different arguments", row(option).name);
}

Failure GivenOptions::take_forwarded(Option option, const char* argument) {
  return has(option) || has(contrary_of(option)) ? Failure{} : put(option, argument);
}

const char* GivenOptions::argument(Option option) const {
  const char* text = word(option);
  const char* equals = text == nullptr ? nullptr : std::strchr(text, '=');
  return equals == nullptr ? nullptr : equals + 1;
}

const char* variable_of(Option option, char* const* environment) {
  return value_in(find_variable(option, environment));
}

bool wants_container(const GivenOptions& given, char* const* environment) {
  for (const Option option : {Option::image, Option::name}) {
    if (given.has(option) || variable_of(option, environment) != nullptr) return true;
  }
  return false;
}

Failure check_variables(const GivenOptions& given, char* const* environment) {
  for (std::size_t i = 0; i < k_options.size(); ++i) {
    const auto option = static_cast<Option>(i);
    const char* const variable = given.has(option) ? nullptr : find_variable(option, environment);
    if (variable == nullptr) continue;
    const char* const value = value_in(variable);
    const Failure wrong = k_options[i].argument != nullptr ? check_argument(option, value) : check_switch(value);
    if (wrong.happened())
      return failed("%.*s: %s", static_cast<int>(value - 1 - variable), variable, wrong.text.data());
  }
  return {};
}

}  // namespace mlctr::spank
