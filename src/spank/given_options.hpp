// What a job asks for: options of the command line, and the variables that stand for them.
#pragma once

#include <array>

#include "spank/failure.hpp"
#include "spank/option_table.hpp"

namespace mlctr::spank {

/// The options of the command line, each as the word that mlctr is to get ("--container-image=X").
class GivenOptions {
 public:
  constexpr GivenOptions() = default;
  GivenOptions(const GivenOptions&) = delete;
  GivenOptions& operator=(const GivenOptions&) = delete;

  /// One that the user typed, or typed for the salloc around it, which goes first and loses: checked and copied.
  Failure take_typed(Option option, const char* argument);
  /// One that comes with the step: first those of srun, then those of the salloc around it, which count only where
  /// srun's say nothing else.
  Failure take_forwarded(Option option, const char* argument);

  bool has(Option option) const { return word(option) != nullptr; }
  /// Null where it isn't given. Lives as long as this.
  const char* word(Option option) const { return words_[static_cast<std::size_t>(option)]; }
  /// What follows the '='; null where it isn't given.
  const char* argument(Option option) const;

 private:
  Failure put(Option option, const char* argument);

  std::array<char*, k_options.size()> words_{};  // from malloc; for the life of the process
};

/// The value of MLCTR_CONTAINER_… or PYXIS_CONTAINER_… in `environment` (null-terminated, may be null itself); null
/// where neither is there or what is there is empty.
const char* variable_of(Option option, char* const* environment);

/// Whether a container is asked for at all: by image or name.
bool wants_container(const GivenOptions& given, char* const* environment);

/// The variables that would count are as well-formed as options must be.
Failure check_variables(const GivenOptions& given, char* const* environment);

}  // namespace mlctr::spank
