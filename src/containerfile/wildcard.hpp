// Patterns as sequences of tokens, and where a text may end that matches one: what globs, ignore files and ${x#pattern}
// share. The work is bounded by pattern times text, whatever the pattern.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace mlctr::containerfile {

/// A text as characters; a byte that is no UTF-8 is one beyond Unicode.
std::u32string characters_of(std::string_view text);
std::string text_of(std::u32string_view characters);

class Wildcard {
 public:
  /// Go's filepath.Match. Throws Error where it is malformed.
  static Wildcard glob(std::string_view pattern);
  /// moby/patternmatcher's, where ** stands for any directories. Throws Error where it is malformed.
  static Wildcard ignore_pattern(std::string_view pattern);
  /// Of ${x#pattern} and its kin: * and ? (neither takes a newline), and \ before one of *?\}/. Throws Error.
  static Wildcard shell_pattern(std::string_view pattern);

  bool matches(std::string_view text) const;

  /// Every place where a match that begins at `begin` can end, ascending.
  std::vector<std::size_t> ends(std::u32string_view text, std::size_t begin) const;

  /// Matches a reversed text where this one matches it.
  Wildcard reversed() const;

  std::size_t size() const noexcept { return tokens_.size(); }

 private:
  enum class Kind { literal, one, run, directories, anything, set };

  struct Token {
    Kind kind = Kind::literal;
    char32_t code = 0;                                  ///< of a literal
    std::vector<std::pair<char32_t, char32_t>> ranges;  ///< of a set
    bool is_negated = false;
  };

  enum class Stars { one_name, directories };
  class Parser;

  std::vector<std::size_t> step(const Token& token, std::u32string_view text,
                                const std::vector<std::size_t>& places) const;
  bool takes(const Token& token, char32_t code) const;

  std::vector<Token> tokens_;
  char32_t barrier_ = U'/';  ///< what * and ? don't take
};

}  // namespace mlctr::containerfile
