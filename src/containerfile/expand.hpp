// A word's value, with errors and unset variables at their place in the file.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "containerfile/place.hpp"
#include "containerfile/word_lexer.hpp"

namespace mlctr::containerfile {

struct Expanded {
  std::string value;
  std::vector<std::string> words;
  std::vector<Word> unset;  ///< names of variables that are not set, each at its "$"
};

/// Throws SyntaxError.
Expanded expand(const Word& word, const WordLexer::Options& options,
                const std::map<std::string, std::string>& variables, std::string_view filename);

/// "$X is not set", with "did you mean $Y?" where one of `variables` is near.
std::string unset_message(std::string_view name, const std::map<std::string, std::string>& variables);

}  // namespace mlctr::containerfile
