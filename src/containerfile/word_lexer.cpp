#include "containerfile/word_lexer.hpp"

#include <fmt/format.h>

#include <utility>

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "base/utf8.hpp"
#include "containerfile/letters.hpp"
#include "containerfile/pattern_edit.hpp"

namespace mlctr::containerfile {
namespace {

constexpr int k_max_depth = 100;  // of ${a:-${b:-…}}: each costs stack
constexpr std::string_view k_special_names = "@*#?-$!";

// Splits what passes through it at unquoted blanks.
class WordSplitter {
 public:
  void add(std::string_view text) {
    while (!text.empty()) {
      const std::size_t blank = blank_bytes(text);
      if (blank > 0) {
        finish();
        text.remove_prefix(blank);
      } else {
        const std::size_t bytes = character_bytes(text);
        word_ += text.substr(0, bytes);
        text.remove_prefix(bytes);
      }
    }
  }

  void add_whole(std::string_view text) { word_ += text; }

  std::vector<std::string> finished() {
    finish();
    return std::move(words_);
  }

 private:
  void finish() {
    if (!word_.empty()) words_.push_back(std::exchange(word_, {}));
  }

  std::string word_;
  std::vector<std::string> words_;
};

}  // namespace

class WordLexer::Run {
 public:
  Run(const WordLexer& lexer, std::string_view text)
      : options_(lexer.options_), lookup_(lexer.lookup_), text_(text), escapes_(options_.escapes) {}

  LexedText lex() {
    WordSplitter splitter;
    LexedText lexed;
    lexed.value = until('\0', &splitter);
    lexed.words = splitter.finished();
    lexed.unset = std::move(unset_);
    return lexed;
  }

 private:
  bool is_at_end() const { return at_ == text_.size(); }
  bool is_at(char c) const { return !is_at_end() && text_[at_] == c; }

  std::string_view take_character() {
    const std::size_t bytes = is_at_end() ? 0 : character_bytes(text_.substr(at_));
    return text_.substr(std::exchange(at_, at_ + bytes), bytes);
  }

  [[noreturn]] void fail(std::string message, std::size_t offset, std::string hint = {}) const {
    throw WordError(std::move(message), offset, std::move(hint));
  }

  void add(std::string& value, std::string_view text) const {
    if (value.size() + text.size() > options_.max_bytes) {
      fail(fmt::format("its value grows beyond {} bytes", options_.max_bytes), 0,
           "variables made of variables double with each step");
    }
    value += text;
  }

  // Up to `stop`, which is taken too; '\0': to the end. `splitter` may be null.
  std::string until(char stop, WordSplitter* splitter) {
    std::string value;
    while (!is_at_end()) {
      const char c = text_[at_];
      if (stop != '\0' && c == stop) {
        ++at_;
        return value;
      }
      const bool is_quote = (c == '\'' || c == '"') && options_.quotes != Quotes::ordinary;
      if (c == '$' || c == '<' || is_quote) {
        const std::string part = c == '$' ? variable() : c == '<' ? angle() : c == '"' ? double_quoted() : quoted();
        add(value, part);
        if (splitter != nullptr) c == '$' ? splitter->add(part) : splitter->add_whole(part);
      } else if (c == options_.escape) {
        const std::string part = escaped();
        add(value, part);
        if (splitter != nullptr) splitter->add_whole(part);
      } else {
        const std::string_view part = take_character();
        add(value, part);
        if (splitter != nullptr) splitter->add(part);
      }
    }
    if (stop != '\0') fail(fmt::format("\"{}\" is missing", stop), at_);
    return value;
  }

  // An escape character at the very end is dropped.
  std::string escaped() {
    ++at_;
    std::string part(escapes_ == Escapes::kept ? std::string(1, options_.escape) : std::string());
    return part.append(take_character());
  }

  std::string quoted() {
    const std::size_t begin = at_++;
    const std::size_t end = text_.find('\'', at_);
    if (end == std::string_view::npos) fail("a single quote (') is not closed", begin, "close it, or escape it");
    const std::string_view inside = text_.substr(at_, end - at_);
    at_ = end + 1;
    return with_quotes('\'', std::string(inside));
  }

  std::string double_quoted() {
    const std::size_t begin = at_++;
    std::string inside;
    while (!is_at('"')) {
      if (is_at_end()) fail("a double quote (\") is not closed", begin, "close it, or escape it");
      if (is_at('$')) {
        add(inside, variable());
      } else if (is_at(options_.escape)) {
        add(inside, escaped_in_quotes());
      } else {
        add(inside, take_character());
      }
    }
    ++at_;
    return with_quotes('"', std::move(inside));
  }

  // Only ", $ and the escape character itself lose it there.
  std::string escaped_in_quotes() {
    ++at_;
    std::string part(escapes_ == Escapes::kept ? std::string(1, options_.escape) : std::string());
    if (is_at_end()) return part;
    if (is_at('"') || is_at('$') || is_at(options_.escape)) return part.append(take_character());
    return part + options_.escape;
  }

  std::string with_quotes(char quote, std::string inside) const {
    return options_.quotes == Quotes::kept ? quote + std::move(inside) + quote : std::move(inside);
  }

  // "<<" takes the blanks after it into its word: it may begin a heredoc.
  std::string angle() {
    const std::size_t begin = at_++;
    if (is_at('<')) {
      ++at_;
      while (is_at(' ') || is_at('\t') || is_at('\r')) ++at_;
    }
    return std::string(text_.substr(begin, at_ - begin));
  }

  std::string variable() {
    const std::size_t begin = at_++;
    if (is_at('{')) return braced(begin);
    const std::string name(take_name());
    if (name.empty()) return "$";
    const auto value = lookup_(name);
    if (!value && options_.unset == Unset::kept) return "$" + name;
    if (!value) unset_.push_back({name, begin});
    return value.value_or("");
  }

  std::string_view take_name() {
    const std::size_t begin = at_;
    if (is_at_end()) return {};
    if (is_digit(text_[at_])) {
      while (!is_at_end() && is_digit(text_[at_])) ++at_;
    } else if (k_special_names.find(text_[at_]) != std::string_view::npos) {
      ++at_;
    } else {
      while (!is_at_end() && is_name_character()) at_ += character_bytes(text_.substr(at_));
    }
    return text_.substr(begin, at_ - begin);
  }

  bool is_name_character() const {
    const Character next = decode_first(text_.substr(at_));
    if (next.bytes == 0) return false;
    return is_name_letter(next.code) || (next.code < 0x80 && is_digit(static_cast<char>(next.code)));
  }

  std::string braced(std::size_t begin) {
    ++at_;
    if (is_at_end()) fail_unclosed(begin);
    if (is_at('{') || is_at('}') || is_at(':')) {
      fail("\"${\" without a name", begin, "write ${NAME}, or \\${ for the characters themselves");
    }
    const std::string name(take_name());
    if (is_at_end()) fail_unclosed(begin);
    const auto value = lookup_(name);
    if (is_at('}')) {
      ++at_;
      if (value) return *value;
      if (options_.unset == Unset::kept) return "${" + name + "}";
      unset_.push_back({name, begin});
      return {};
    }
    if (++depth_ > k_max_depth) fail("too many ${…} inside each other", begin);
    std::string result = is_at('/') ? replaced(begin, name, value) : modified(begin, name, value);
    --depth_;
    return result;
  }

  // The word of ${name:-word}, or the pattern of ${name#pattern}.
  std::string operand(std::size_t begin, char stop, Escapes escapes) {
    const Escapes outer = std::exchange(escapes_, escapes);
    try {
      std::string word = until(stop, nullptr);
      escapes_ = outer;
      return word;
    } catch (const WordError&) {
      if (is_at_end() && stop == '}') fail_unclosed(begin);
      if (is_at_end()) fail("\"/\" is missing in ${…/…/…}", begin, "write ${NAME/PATTERN/TEXT}");
      throw;
    }
  }

  [[noreturn]] void fail_unclosed(std::size_t begin) const { fail("\"${\" is not closed", begin, "add \"}\""); }

  std::string modified(std::size_t begin, const std::string& name, const std::optional<std::string>& value) {
    const std::size_t operator_at = at_;
    const bool has_colon = is_at(':');
    if (has_colon) ++at_;
    if (is_at_end()) fail_unclosed(begin);
    const char kind = text_[at_];
    const std::string_view known = has_colon ? "+-?" : "+-?#%";
    if (known.find(kind) == std::string_view::npos) {
      take_character();
      fail(fmt::format("\"{}\" means nothing after ${{{}", printable(text_.substr(operator_at, at_ - operator_at)),
                       printable(name)),
           operator_at, "known are :- - :+ + :? ? # ## % %% / //");
    }
    ++at_;
    const bool has_pattern = kind == '#' || kind == '%';
    const std::string word = operand(begin, '}', has_pattern ? Escapes::kept : Escapes::removed);
    if (!value && options_.unset == Unset::kept) {
      return fmt::format("${{{}{}{}{}}}", name, has_colon ? ":" : "", kind, word);
    }
    if (has_pattern) return trimmed(begin, kind, value, word, name);
    return chosen(begin, kind, has_colon, value, word, name);
  }

  std::string chosen(std::size_t begin, char kind, bool has_colon, const std::optional<std::string>& value,
                     const std::string& word, const std::string& name) const {
    const bool is_there = value && !(has_colon && value->empty());
    if (kind == '+') return is_there ? word : std::string();
    if (is_there) return *value;
    if (kind == '-') return word;
    const std::string_view standard = value ? "is not allowed to be empty" : "is not allowed to be unset";
    fail(fmt::format("{}: {}", printable(name), word.empty() ? standard : printable(word, 1024)), begin,
         fmt::format("give it with --build-arg {}=…", printable(name)));
  }

  std::string trimmed(std::size_t begin, char kind, const std::optional<std::string>& value, std::string_view word,
                      const std::string& name) {
    if (!value) unset_.push_back({name, begin});
    const Extent extent = word.starts_with(kind) ? Extent::longest : Extent::shortest;
    if (extent == Extent::longest) word.remove_prefix(1);
    return with_place(begin, [&] {
      return kind == '#' ? without_prefix(value.value_or(""), word, extent)
                         : without_suffix(value.value_or(""), word, extent);
    });
  }

  std::string replaced(std::size_t begin, const std::string& name, const std::optional<std::string>& value) {
    ++at_;
    const Occurrences which = is_at('/') ? Occurrences::all : Occurrences::first;
    if (which == Occurrences::all) ++at_;
    const std::string pattern = operand(begin, '/', Escapes::kept);
    const std::string replacement = operand(begin, '}', Escapes::kept);
    if (!value && options_.unset == Unset::kept) return fmt::format("${{{}/{}/{}}}", name, pattern, replacement);
    if (!value) unset_.push_back({name, begin});
    return with_place(begin, [&] { return with_replaced(value.value_or(""), pattern, replacement, which); });
  }

  template <typename Edit>
  std::string with_place(std::size_t begin, const Edit& edit) const {
    try {
      return edit();
    } catch (const Error& error) {
      fail(error.message(), begin, error.hint());
    }
  }

  const Options& options_;
  const Lookup& lookup_;
  std::string_view text_;
  std::size_t at_ = 0;
  Escapes escapes_;
  int depth_ = 0;
  std::vector<LexedText::Unset> unset_;
};

LexedText WordLexer::lex(std::string_view text) const {
  return Run(*this, text).lex();
}

}  // namespace mlctr::containerfile
