#include "containerfile/heredocs.hpp"

#include <algorithm>

#include "base/ascii.hpp"
#include "containerfile/word_lexer.hpp"

namespace mlctr::containerfile {
namespace {

using Quotes = WordLexer::Quotes;
using Escapes = WordLexer::Escapes;

std::optional<std::vector<std::string>> words_of(std::string_view text, Quotes quotes, Escapes escapes) {
  const WordLexer lexer({.quotes = quotes, .escapes = escapes, .unset = WordLexer::Unset::kept, .max_bytes = 16u << 20},
                        [](std::string_view) { return std::nullopt; });
  try {
    return lexer.lex(text).words;
  } catch (const WordError&) {
    return std::nullopt;
  }
}

std::ptrdiff_t quotes_in(std::string_view text) {
  return std::count_if(text.begin(), text.end(), [](char c) { return c == '\'' || c == '"'; });
}

}  // namespace

std::optional<Heredoc> heredoc_in(std::string_view word) {
  while (!word.empty() && is_digit(word.front())) word.remove_prefix(1);  // a file descriptor's number, for the shell
  if (!word.starts_with("<<")) return std::nullopt;
  word.remove_prefix(2);
  Heredoc heredoc;
  if (word.starts_with('-')) {
    heredoc.tabs = LeadingTabs::stripped;
    word.remove_prefix(1);
  }
  word.remove_prefix(std::min(word.find_first_not_of("\t\n\f\r "), word.size()));
  if (word.empty() || word.find('<') != std::string_view::npos) return std::nullopt;
  const auto names = words_of(word, Quotes::removed, Escapes::removed);
  const auto quoted = words_of(word, Quotes::kept, Escapes::removed);
  if (!names || !quoted || names->size() != 1 || quoted->size() != 1) return std::nullopt;
  heredoc.name = names->front();
  const bool is_quoted = quotes_in(heredoc.name) != quotes_in(quoted->front());
  heredoc.variables = is_quoted ? HeredocVariables::literal : HeredocVariables::expanded;
  return heredoc;
}

std::vector<Heredoc> heredocs_in(std::string_view line) {
  std::vector<Heredoc> heredocs;
  const auto words = words_of(line, Quotes::kept, Escapes::kept);
  if (!words) return heredocs;
  for (const std::string& word : *words) {
    if (auto heredoc = heredoc_in(word)) heredocs.push_back(std::move(*heredoc));
  }
  return heredocs;
}

bool ends_heredoc(const Heredoc& heredoc, std::string_view line) {
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  if (heredoc.tabs == LeadingTabs::stripped) {
    line.remove_prefix(std::min(line.find_first_not_of('\t'), line.size()));
  }
  return line == heredoc.name;
}

}  // namespace mlctr::containerfile
