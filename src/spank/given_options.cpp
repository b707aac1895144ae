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

/// What follows PREFIX_CONTAINER_NAME= of one variable; null where it is another.
const char* value_of(const char* variable, std::string_view prefix, std::string_view name) {
  const std::string_view text = variable;
  if (!text.starts_with(prefix)) return nullptr;
  const char* rest = variable + prefix.size();
  if (!std::string_view(rest).starts_with(name) || rest[name.size()] != '=') return nullptr;
  return rest + name.size() + 1;
}

const char* find_variable(std::string_view prefix, const char* name, char* const* environment) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const char* value = value_of(*environment, prefix, name);
    if (value != nullptr && *value != '\0') return value;
  }
  return nullptr;
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
  const char* name = row(option).variable;
  if (name == nullptr) return nullptr;
  const char* value = find_variable("MLCTR_CONTAINER_", name, environment);
  return value != nullptr ? value : find_variable("PYXIS_CONTAINER_", name, environment);
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
    const char* value = given.has(option) ? nullptr : variable_of(option, environment);
    if (value == nullptr) continue;
    const Failure wrong = k_options[i].argument != nullptr ? check_argument(option, value) : check_switch(value);
    if (wrong.happened()) return failed("MLCTR_CONTAINER_%s: %s", k_options[i].variable, wrong.text.data());
  }
  return {};
}

}  // namespace mlctr::spank
