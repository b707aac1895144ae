#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "containerfile/letters.hpp"
#include "containerfile/statement.hpp"

namespace mlctr::containerfile {
namespace {

bool is_stage_name(std::string_view name) {
  const auto is_allowed = [](char c) { return is_lower_alphanumeric(c) || c == '-' || c == '_' || c == '.'; };
  return !name.empty() && !is_digit(name.front()) && is_lower_alphanumeric(name.front()) &&
         std::all_of(name.begin(), name.end(), is_allowed);
}

std::string stage_name(const Statement& statement, const Word& word) {
  std::string name = lowered(word.text);
  if (!is_stage_name(name)) {
    statement.fail(word.place, fmt::format("\"{}\" can't name a stage", printable(word.text)),
                   "a letter, then letters, digits, \"-\", \"_\" and \".\"");
  }
  return name;
}

}  // namespace

Stage parse_from(const Statement& statement) {
  const std::vector<Word> words = split_at_blanks(statement.arguments);
  if (words.empty()) statement.fail(statement.written_keyword.place(), "FROM without an image", "write FROM IMAGE");
  const bool is_named = words.size() == 3 && lowered(words[1].text) == "as";
  if (words.size() != 1 && !is_named) {
    const bool lacks_as = words.size() == 3 || words.size() == 2;
    statement.fail(words[1].place, fmt::format("\"{}\" can't follow the image of FROM", printable(words[1].text)),
                   lacks_as ? "write FROM IMAGE AS NAME" : "write FROM IMAGE, or FROM IMAGE AS NAME");
  }
  const Flags flags = statement.parse_flags({{"platform"}});
  return {.base = words.front(),
          .name = is_named ? stage_name(statement, words[2]) : std::string(),
          .platform = flags.text("platform"),
          .text = std::string(without_blanks_around(statement.written_keyword.line->text())),
          .place = statement.written_keyword.place(),
          .instructions = {}};
}

}  // namespace mlctr::containerfile
