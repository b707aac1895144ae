#include "containerfile/line_reader.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "containerfile/letters.hpp"

namespace mlctr::containerfile {
namespace {

constexpr std::string_view k_byte_order_mark = "\xef\xbb\xbf";

std::string_view without_newline(std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

struct Piece {
  std::string_view text;
  bool is_continued;
};

// An escape character that ends a line joins it to the next, blanks after it or not; but an escaped one is text. Which
// of three is escaped isn't told: "\\\" ends its line, as it does for BuildKit.
Piece without_continuation(std::string_view line, char escape) {
  const std::size_t last = line.find_last_not_of(" \t");
  const bool is_continued =
      last != std::string_view::npos && line[last] == escape && (last == 0 || line[last - 1] != escape);
  return {is_continued ? line.substr(0, last) : line, is_continued};
}

struct Directive {
  std::string name;
  std::string_view value;
};

// "# NAME = VALUE"
std::optional<Directive> directive_in(std::string_view line) {
  if (!line.starts_with('#')) return std::nullopt;
  line = without_leading_blanks(line.substr(1));
  const std::size_t name_end = std::min(
      line.size(),
      static_cast<std::size_t>(std::find_if_not(line.begin(), line.end(), [](char c) { return is_alphanumeric(c); }) -
                               line.begin()));
  const std::string name = lowered(line.substr(0, name_end));
  if (name != "syntax" && name != "escape" && name != "check") return std::nullopt;
  line = without_blanks_around(line.substr(name_end));
  if (!line.starts_with('=')) return std::nullopt;
  const std::string_view value = without_leading_blanks(line.substr(1));
  if (value.empty()) return std::nullopt;
  return Directive{name, value};
}

}  // namespace

LineReader::LineReader(std::string_view text, std::string filename, std::optional<Place> fixed)
    : rest_(text), filename_(std::move(filename)), fixed_(fixed) {
  if (rest_.starts_with(k_byte_order_mark)) rest_.remove_prefix(k_byte_order_mark.size());
}

std::optional<std::string_view> LineReader::next_raw() {
  if (rest_.empty()) return std::nullopt;
  const std::size_t length = std::min(rest_.find('\n'), rest_.size() - 1) + 1;
  const std::string_view line = rest_.substr(0, length);
  rest_.remove_prefix(length);
  ++number_;
  return line;
}

std::optional<LineReader::Continued> LineReader::next() {
  while (const auto raw = next_raw()) {
    const std::string_view line = without_newline(*raw);
    const std::string_view text = without_leading_blanks(line);
    const auto column = static_cast<std::uint32_t>(line.size() - text.size() + 1);
    if (may_have_directives_) read_directive(text, {number_, column});
    if (text.empty() || text.starts_with('#')) continue;
    Continued continued{.line = Line(fixed_)};
    if (append(continued, text, column)) continue_line(continued);
    return continued;
  }
  return std::nullopt;
}

// Returns whether the line goes on.
bool LineReader::append(Continued& continued, std::string_view piece, std::uint32_t column) const {
  const Piece kept = without_continuation(piece, escape_);
  continued.line.append(kept.text, {number_, column});
  return kept.is_continued;
}

void LineReader::continue_line(Continued& continued) {
  while (const auto raw = next_raw()) {
    const std::string_view text = without_leading_blanks(without_newline(*raw));
    if (text.starts_with('#')) continue;
    if (text.empty()) {
      if (continued.empty_line == 0) continued.empty_line = number_;
      continue;
    }
    if (!append(continued, without_newline(*raw), 1)) return;  // leading blanks stay: they may be part of a word
  }
}

void LineReader::read_directive(std::string_view line, Place place) {
  const auto directive = directive_in(line);
  may_have_directives_ = directive.has_value();
  if (!directive) return;
  place.column += static_cast<std::uint32_t>(directive->value.data() - line.data());
  if (directives_.contains(directive->name)) {
    throw SyntaxError(filename_, place, fmt::format("a second \"{}\" directive", directive->name),
                      fmt::format("keep one \"# {}=\" line", directive->name));
  }
  if (directive->name == "escape") set_escape(directive->value, place);
  directives_[directive->name] = directive->value;
}

void LineReader::set_escape(std::string_view value, Place place) {
  if (value != "\\" && value != "`") {
    throw SyntaxError(filename_, place, fmt::format("\"{}\" can't be the escape character", printable(value)),
                      "it is \\ or `: # escape=`");
  }
  escape_ = value.front();
}

}  // namespace mlctr::containerfile
