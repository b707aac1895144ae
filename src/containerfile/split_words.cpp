#include "containerfile/split_words.hpp"

#include <algorithm>
#include <utility>

#include "containerfile/letters.hpp"

namespace mlctr::containerfile {
namespace {

constexpr std::string_view k_ascii_blanks = "\t\v\f\r ";

bool is_quote(char c) {
  return c == '\'' || c == '"';
}

// One word that begins with "--", from `text` on, which is not empty.
struct FlagWord {
  std::string text;
  std::string_view rest;
};

FlagWord take_flag(std::string_view text, char escape) {
  std::string word;
  std::size_t at = 0;
  char quote = '\0';
  for (; at < text.size() && (quote != '\0' || blank_bytes(text.substr(at)) == 0); ++at) {
    const char c = text[at];
    if (quote == '\0' ? is_quote(c) : c == quote) {
      quote = quote == '\0' ? c : '\0';
    } else if (c == escape) {
      if (at + 1 < text.size()) word += text[++at];
    } else {
      word += c;
    }
  }
  return {std::move(word), text.substr(at)};
}

// Splits while keeping what it splits as it is written.
class QuotedSplitter {
 public:
  QuotedSplitter(Slice text, char escape) : text_(text), rest_(text.text), escape_(escape) {}

  std::vector<Word> split() {
    for (rest_ = without_leading_blanks(rest_); !rest_.empty(); rest_ = without_leading_blanks(rest_)) take_word();
    return std::move(words_);
  }

 private:
  void take_word() {
    const Place place = text_.line->place_of(rest_);
    word_.clear();
    bool has_quotes = false;
    while (!rest_.empty() && blank_bytes(rest_) == 0) {
      const char c = rest_.front();
      if (c == escape_) {
        take_escaped();
      } else if (is_quote(c)) {
        has_quotes = true;
        take_quoted();
      } else {
        take();
      }
    }
    if (has_quotes || !word_.empty()) words_.push_back({word_, place});
  }

  void take() {
    const std::size_t bytes = character_bytes(rest_);
    word_ += rest_.substr(0, bytes);
    rest_.remove_prefix(bytes);
  }

  // One that ends the text is dropped.
  void take_escaped() {
    if (rest_.size() == 1) return rest_.remove_prefix(1);
    take();
    take();
  }

  void take_quoted() {
    const char quote = rest_.front();
    take();
    while (!rest_.empty() && rest_.front() != quote) rest_.front() == escape_&& quote == '"' ? take_escaped() : take();
    if (!rest_.empty()) take();
  }

  Slice text_;
  std::string_view rest_;
  char escape_;
  std::string word_;
  std::vector<Word> words_;
};

}  // namespace

SplitCommand split_command(Slice line, char escape) {
  const FirstAndRest parts = split_first(line.part(without_blanks_around(line.text)));
  if (!parts.rest) return {parts.first, {}, line.part(parts.first.text.substr(parts.first.text.size()))};
  std::vector<Word> flags;
  std::string_view rest = without_leading_blanks(parts.rest->text);
  while (rest.starts_with("--")) {
    FlagWord flag = take_flag(rest, escape);
    const Place place = line.line->place_of(rest);
    rest = without_leading_blanks(flag.rest);
    if (flag.text == "--") break;  // ends the flags
    flags.push_back({std::move(flag.text), place});
  }
  return {parts.first, std::move(flags), line.part(without_blanks_around(rest))};
}

FirstAndRest split_first(Slice text) {
  const std::size_t end = text.text.find_first_of(k_ascii_blanks);
  if (end == std::string_view::npos) return {text, std::nullopt};
  const std::size_t next = std::min(text.text.find_first_not_of(k_ascii_blanks, end), text.text.size());
  return {text.part(text.text.substr(0, end)), text.part(text.text.substr(next))};
}

std::vector<Word> split_at_blanks(Slice text) {
  std::vector<Word> words;
  std::optional<Slice> rest = text;
  while (rest && !rest->text.empty()) {
    const FirstAndRest parts = split_first(*rest);
    words.push_back(parts.first.word());
    rest = parts.rest;
  }
  return words;
}

std::vector<Word> split_quoted(Slice text, char escape) {
  return QuotedSplitter(text, escape).split();
}

}  // namespace mlctr::containerfile
