// How an instruction's line falls into words: by blanks alone, with quotes, as flags, as a JSON array. Quotes and
// escapes stay in the words, but for flags. What comes out knows its place in the line.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerfile/line.hpp"
#include "containerfile/place.hpp"

namespace mlctr::containerfile {

/// A part of a line: `text` is a view into it, so that everything cut from it has a place.
struct Slice {
  const Line* line;
  std::string_view text;

  Place place() const { return line->place_of(text); }
  Slice part(std::string_view within) const { return {line, within}; }
  Word word() const { return {std::string(text), place()}; }
};

struct SplitCommand {
  Slice keyword;
  std::vector<Word> flags;  ///< "--name=value" without its quotes and escapes
  Slice arguments;          ///< without blanks around
};

SplitCommand split_command(Slice line, char escape);

/// By ASCII blanks.
std::vector<Word> split_at_blanks(Slice text);

/// The first word and what follows the blanks after it; absent where there is only one.
struct FirstAndRest {
  Slice first;
  std::optional<Slice> rest;
};
FirstAndRest split_first(Slice text);

/// By blanks that are neither quoted nor escaped.
std::vector<Word> split_quoted(Slice text, char escape);

/// A JSON array of strings; absent where `text` is no JSON array. Throws SyntaxError where it holds other things.
std::optional<std::vector<Word>> json_words(Slice text, std::string_view filename);

}  // namespace mlctr::containerfile
