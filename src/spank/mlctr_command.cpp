#include "spank/mlctr_command.hpp"

namespace mlctr::spank {
namespace {

bool is_open(Option option, const GivenOptions& given, char* const* environment) {
  return !given.has(option) && variable_of(option, environment) == nullptr;
}

}  // namespace

MlctrCommand::MlctrCommand(const char* verb, const PluginSettings& settings, const GivenOptions& given,
                           char* const* environment) {
  add("mlctr");
  add("step");
  add(verb);
  for (std::size_t i = 0; i < k_options.size(); ++i) {
    if (const char* word = given.word(static_cast<Option>(i))) add(word);
  }
  if (settings.scope == Scope::job && is_open(Option::scope, given, environment)) add("--container-scope=job");
  if (settings.entrypoint == Entrypoint::executed && is_open(Option::entrypoint, given, environment) &&
      !given.has(Option::no_entrypoint)) {
    add("--container-entrypoint");
  }
}

}  // namespace mlctr::spank
