// The command lines with which mlctr is called.
#pragma once

#include <array>
#include <cstddef>

#include "spank/given_options.hpp"
#include "spank/plugin_settings.hpp"

namespace mlctr::spank {

/// mlctr step VERB …, null-terminated. Its words are the options', the settings' and literals: it owns none.
class MlctrCommand {
 public:
  /// All that was given, and what plugstack.conf says where neither an option nor a variable does. mlctr reads the
  /// variables itself: they are in the environment that it gets.
  MlctrCommand(const char* verb, const PluginSettings& settings, const GivenOptions& given, char* const* environment);

  void add(const char* word) { words_[count_++] = const_cast<char*>(word); }
  char* const* words() const { return words_.data(); }

 private:
  std::array<char*, k_options.size() + 10> words_{};
  std::size_t count_ = 0;
};

}  // namespace mlctr::spank
