#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "containerfile/wildcard.hpp"

namespace mlctr::containerfile {

class Wildcard::Parser {
 public:
  explicit Parser(std::string_view pattern) : text_(pattern), rest_(characters_of(pattern)) {}

  std::vector<Token> glob(Stars stars) {
    const bool is_plain_tail = stars == Stars::directories && has_plain_tail();
    while (at_ < rest_.size()) {
      const char32_t code = rest_[at_++];
      if (code == U'*') {
        add_stars(stars, is_plain_tail);
      } else if (code == U'?') {
        add(Kind::one);
      } else if (code == U'[') {
        add_set();
      } else {
        add_literal(code == U'\\' ? escaped() : code);
      }
    }
    return std::move(tokens_);
  }

  std::vector<Token> shell() {
    while (at_ < rest_.size()) {
      const char32_t code = rest_[at_++];
      if (code == U'*') {
        add(Kind::run);
      } else if (code == U'?') {
        add(Kind::one);
      } else {
        add_literal(code == U'\\' ? shell_escaped() : code);
      }
    }
    return std::move(tokens_);
  }

 private:
  void add(Kind kind) { tokens_.push_back({.kind = kind, .code = 0, .ranges = {}, .is_negated = false}); }
  void add_literal(char32_t code) { tokens_.push_back({.kind = Kind::literal, .code = code, .ranges = {}}); }

  // "**foo" takes whatever ends in foo, "**foo*" only names that begin with it: patternmatcher's own rule.
  bool has_plain_tail() const {
    return rest_.starts_with(U"**") && rest_.find_first_of(U"*?[]\\", 2) == std::u32string::npos;
  }

  void add_stars(Stars stars, bool is_plain_tail) {
    if (stars == Stars::one_name || at_ == rest_.size() || rest_[at_] != U'*') return add(Kind::run);
    ++at_;
    const bool eats_slash = at_ < rest_.size() && rest_[at_] == U'/';
    if (eats_slash) ++at_;
    const bool is_any = at_ == rest_.size() || (is_plain_tail && !eats_slash);
    add(is_any ? Kind::anything : Kind::directories);
  }

  void add_set() {
    Token set{.kind = Kind::set, .code = 0, .ranges = {}};
    if (at_ < rest_.size() && rest_[at_] == U'^') {
      set.is_negated = true;
      ++at_;
    }
    while (set.ranges.empty() || at_ == rest_.size() || rest_[at_] != U']') {
      const char32_t low = set_member();
      char32_t high = low;
      if (at_ < rest_.size() && rest_[at_] == U'-') {
        ++at_;
        high = set_member();
      }
      set.ranges.emplace_back(low, high);
    }
    ++at_;
    tokens_.push_back(std::move(set));
  }

  char32_t set_member() {
    if (at_ == rest_.size()) fail("\"[\" without \"]\"");
    const char32_t code = rest_[at_++];
    if (code == U'-' || code == U']') fail(fmt::format("\"{}\" where a character of the class belongs", char(code)));
    return code == U'\\' ? escaped() : code;
  }

  char32_t escaped() {
    if (at_ == rest_.size()) fail("\"\\\" with nothing after it");
    return rest_[at_++];
  }

  // In ${x#…} and ${x/…}, } and / end the pattern unless escaped.
  char32_t shell_escaped() {
    const char32_t code = escaped();
    if (std::u32string_view(U"*?\\}/").find(code) == std::u32string_view::npos) {
      fail(fmt::format("\"\\{}\"", printable(text_of({&code, 1}))));
    }
    return code;
  }

  [[noreturn]] void fail(std::string_view why) const {
    throw Error(fmt::format("invalid pattern \"{}\": {}", printable(text_), why));
  }

  std::string_view text_;
  std::u32string rest_;
  std::size_t at_ = 0;
  std::vector<Token> tokens_;
};

Wildcard Wildcard::glob(std::string_view pattern) {
  Wildcard wildcard;
  wildcard.tokens_ = Parser(pattern).glob(Stars::one_name);
  return wildcard;
}

Wildcard Wildcard::ignore_pattern(std::string_view pattern) {
  Wildcard wildcard;
  wildcard.tokens_ = Parser(pattern).glob(Stars::directories);
  return wildcard;
}

Wildcard Wildcard::shell_pattern(std::string_view pattern) {
  Wildcard wildcard;
  wildcard.tokens_ = Parser(pattern).shell();
  wildcard.barrier_ = U'\n';
  return wildcard;
}

}  // namespace mlctr::containerfile
