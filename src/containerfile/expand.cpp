#include "containerfile/expand.hpp"

#include <fmt/format.h>

#include "base/printable.hpp"
#include "base/suggestion.hpp"

namespace mlctr::containerfile {
namespace {

Place within(const Word& word, std::size_t offset) {
  return {word.place.line, word.place.column + static_cast<std::uint32_t>(offset)};
}

}  // namespace

Expanded expand(const Word& word, const WordLexer::Options& options,
                const std::map<std::string, std::string>& variables, std::string_view filename) {
  const WordLexer lexer(options, [&](std::string_view name) -> std::optional<std::string> {
    const auto variable = variables.find(std::string(name));
    if (variable == variables.end()) return std::nullopt;
    return variable->second;
  });
  try {
    LexedText lexed = lexer.lex(word.text);
    Expanded expanded{std::move(lexed.value), std::move(lexed.words), {}};
    for (const LexedText::Unset& unset : lexed.unset)
      expanded.unset.push_back({unset.name, within(word, unset.offset)});
    return expanded;
  } catch (const WordError& error) {
    throw SyntaxError(filename, within(word, error.offset()), error.message(), error.hint());
  }
}

std::string unset_message(std::string_view name, const std::map<std::string, std::string>& variables) {
  std::vector<std::string> names;
  for (const auto& [known, value] : variables) names.push_back(known);
  const std::string meant = nearest(name, names);
  return fmt::format("${} is not set{}", printable(name),
                     meant.empty() ? "" : fmt::format(" (did you mean ${}?)", meant));
}

}  // namespace mlctr::containerfile
