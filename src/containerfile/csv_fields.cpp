#include "containerfile/csv_fields.hpp"

#include <algorithm>

namespace mlctr::containerfile {
namespace {

struct QuotedField {
  std::string text;
  std::size_t end;  ///< behind its closing quote; npos: there is none
};

// `begin` is behind the opening quote.
QuotedField quoted_field(std::string_view line, std::size_t begin) {
  QuotedField field{{}, std::string_view::npos};
  for (std::size_t at = begin; at < line.size(); ++at) {
    const bool is_quote = line[at] == '"';
    const bool is_doubled = is_quote && at + 1 < line.size() && line[at + 1] == '"';
    if (is_quote && !is_doubled) {
      field.end = at + 1;
      return field;
    }
    field.text += line[at];
    if (is_doubled) ++at;
  }
  return field;
}

}  // namespace

std::vector<Word> csv_fields(const Word& line, std::string_view filename) {
  std::vector<Word> fields;
  const std::string_view text = line.text;
  const auto place_at = [&](std::size_t at) {
    return Place{line.place.line, line.place.column + static_cast<std::uint32_t>(at)};
  };
  for (std::size_t at = 0; at <= text.size(); ++at) {
    if (at < text.size() && text[at] == '"') {
      QuotedField field = quoted_field(text, at + 1);
      const bool is_whole = field.end == text.size() || (field.end < text.size() && text[field.end] == ',');
      if (!is_whole) throw SyntaxError(filename, place_at(at), "a double quote (\") is not closed in this field");
      fields.push_back({std::move(field.text), place_at(at + 1)});
      at = field.end;
    } else {
      const std::size_t end = std::min(text.find(',', at), text.size());
      fields.push_back({std::string(text.substr(at, end - at)), place_at(at)});
      at = end;
    }
  }
  return fields;
}

}  // namespace mlctr::containerfile
