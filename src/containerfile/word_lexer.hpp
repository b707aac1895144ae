// Quotes, escapes and variables of a Containerfile's words: BuildKit's reference, "Environment replacement", and what
// its shell lexer does.
//
//   $name  ${name}  ${name:-word}  ${name-word}  ${name:+word}  ${name+word}  ${name:?word}  ${name?word}
//   ${name#pattern}  ${name##pattern}  ${name%pattern}  ${name%%pattern}  ${name/pattern/text}  ${name//pattern/text}
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace mlctr::containerfile {

/// What is wrong at byte `offset` of the text.
class WordError : public Error {
 public:
  WordError(std::string message, std::size_t offset, std::string hint = {})
      : Error(std::move(message), std::move(hint)), offset_(offset) {}

  std::size_t offset() const noexcept { return offset_; }

 private:
  std::size_t offset_;
};

struct LexedText {
  /// A variable that is not set and that the text has no word for.
  struct Unset {
    std::string name;
    std::size_t offset;  ///< of its "$"
  };

  std::string value;
  std::vector<std::string> words;  ///< the value split at blanks that are neither quoted nor escaped
  std::vector<Unset> unset;        ///< in order
};

class WordLexer {
 public:
  enum class Quotes { removed, kept, ordinary };  ///< kept: still quoting; ordinary: like any character
  enum class Escapes { removed, kept };
  enum class Unset { emptied, kept };  ///< kept: "$x" stays as it is

  using Lookup = std::function<std::optional<std::string>(std::string_view name)>;

  struct Options {
    char escape = '\\';
    Quotes quotes = Quotes::removed;
    Escapes escapes = Escapes::removed;
    Unset unset = Unset::emptied;
    std::size_t max_bytes = 1u << 20;  ///< of the value: variables in variables grow fast
  };

  WordLexer(Options options, Lookup lookup) : options_(options), lookup_(std::move(lookup)) {}

  /// Throws WordError.
  LexedText lex(std::string_view text) const;

 private:
  class Run;

  Options options_;
  Lookup lookup_;
};

}  // namespace mlctr::containerfile
