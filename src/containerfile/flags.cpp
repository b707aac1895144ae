#include "containerfile/flags.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "base/suggestion.hpp"

namespace mlctr::containerfile {
namespace {

std::string hint_for(std::string_view name, const std::vector<FlagKind>& known, std::string_view keyword) {
  std::vector<std::string> names;
  for (const FlagKind& kind : known) names.emplace_back(kind.name);
  if (const std::string meant = nearest(name, names); !meant.empty()) return fmt::format("did you mean --{}?", meant);
  if (keyword == "CMD" || keyword == "ENTRYPOINT" || keyword == "RUN") {
    return fmt::format("a word of the command goes into the JSON form: {} [\"--{}\"]", keyword, printable(name));
  }
  if (names.empty()) return fmt::format("{} takes no flags", keyword);
  return fmt::format("{} takes --{}", keyword, fmt::join(names, ", --"));
}

}  // namespace

Flags Flags::parse(const std::vector<Word>& words, const std::vector<FlagKind>& known, std::string_view keyword,
                   std::string_view filename) {
  Flags flags;
  for (const Word& word : words) {
    const std::size_t equals = word.text.find('=');
    const std::string name = word.text.substr(0, equals).substr(2);
    const auto fail = [&](std::string_view what, std::string hint) {
      throw SyntaxError(filename, word.place, fmt::format("{} --{} of {}", what, printable(name), keyword), hint);
    };
    const auto kind = std::find_if(known.begin(), known.end(), [&](const FlagKind& one) { return one.name == name; });
    if (kind == known.end()) {
      throw SyntaxError(filename, word.place, fmt::format("{} has no flag --{}", keyword, printable(name)),
                        hint_for(name, known, keyword));
    }
    const bool is_repeated = kind->takes != FlagKind::Takes::texts &&
                             std::any_of(flags.given_.begin(), flags.given_.end(),
                                         [&](const Given& given) { return given.name == kind->name; });
    if (is_repeated) fail("a second", "keep one");
    const bool has_value = equals != std::string::npos;
    Word value{has_value ? word.text.substr(equals + 1) : std::string(), word.place};
    if (has_value) value.place.column += static_cast<std::uint32_t>(equals + 1);
    if (kind->takes == FlagKind::Takes::yes_or_no) {
      value.text = has_value ? lowered(value.text) : "true";
      if (value.text != "true" && value.text != "false") {
        fail("no \"true\" or \"false\" after", fmt::format("write --{0} or --{0}=false", kind->name));
      }
    } else if (!has_value) {
      fail("no value after", fmt::format("write --{}=VALUE, without a blank", kind->name));
    }
    flags.given_.push_back({kind->name, std::move(value)});
  }
  return flags;
}

std::optional<Word> Flags::text(std::string_view name) const {
  for (const Given& given : given_) {
    if (given.name == name) return given.value;
  }
  return std::nullopt;
}

std::vector<Word> Flags::texts(std::string_view name) const {
  std::vector<Word> values;
  for (const Given& given : given_) {
    if (given.name == name) values.push_back(given.value);
  }
  return values;
}

std::optional<bool> Flags::yes_or_no(std::string_view name) const {
  const auto value = text(name);
  if (!value) return std::nullopt;
  return value->text == "true";
}

}  // namespace mlctr::containerfile
