#include "registry/challenge.hpp"

#include <cstddef>
#include <optional>

#include "base/ascii.hpp"

namespace mlctr {
namespace {

constexpr std::size_t k_max_challenges = 16;
constexpr std::size_t k_max_parameters = 32;

bool is_token_character(char c) {
  constexpr std::string_view k_others = "!#$%&'*+-.^_`|~";
  return is_alphanumeric(c) || k_others.find(c) != std::string_view::npos;
}

class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  bool at_end() const { return position_ == text_.size(); }
  std::size_t position() const { return position_; }
  void go_back_to(std::size_t position) { position_ = position; }

  void skip_spaces() { skip_any_of(" \t"); }
  void skip_separators() { skip_any_of(" \t,"); }

  bool take(char wanted) {
    if (at_end() || text_[position_] != wanted) return false;
    ++position_;
    return true;
  }

  std::string_view take_token() {
    const std::size_t start = position_;
    while (!at_end() && is_token_character(text_[position_])) ++position_;
    return text_.substr(start, position_ - start);
  }

  /// After the opening quote; absent where the closing one is missing.
  std::optional<std::string> take_quoted() {
    std::string value;
    while (!at_end()) {
      char c = text_[position_++];
      if (c == '"') return value;
      if (c == '\\' && !at_end()) c = text_[position_++];
      value += c;
    }
    return std::nullopt;
  }

  void skip_to_comma() {
    while (!at_end() && text_[position_] != ',') ++position_;
  }

 private:
  void skip_any_of(std::string_view characters) {
    while (!at_end() && characters.find(text_[position_]) != std::string_view::npos) ++position_;
  }

  std::string_view text_;
  std::size_t position_ = 0;
};

// One NAME=VALUE; false (and nothing consumed) where the next word is a scheme instead.
bool take_parameter(Scanner& scanner, Challenge& challenge) {
  const std::size_t start = scanner.position();
  const std::string_view name = scanner.take_token();
  scanner.skip_spaces();
  if (name.empty() || !scanner.take('=')) {
    scanner.go_back_to(start);
    return false;
  }
  scanner.skip_spaces();
  std::optional<std::string> value;
  if (scanner.take('"')) {
    value = scanner.take_quoted();
  } else {
    value = std::string(scanner.take_token());
  }
  if (value && challenge.parameters.size() < k_max_parameters) {
    challenge.parameters.try_emplace(lowered(name), std::move(*value));
  }
  // Whatever is left of it (a token68's padding) is not ours.
  scanner.skip_to_comma();
  return true;
}

}  // namespace

std::vector<Challenge> parse_challenges(std::string_view header) {
  std::vector<Challenge> challenges;
  Scanner scanner(header);
  for (scanner.skip_separators(); !scanner.at_end(); scanner.skip_separators()) {
    const std::string_view scheme = scanner.take_token();
    if (scheme.empty()) {
      scanner.skip_to_comma();
      continue;
    }
    if (challenges.size() == k_max_challenges) break;
    Challenge challenge{lowered(scheme), {}};
    scanner.skip_separators();
    while (take_parameter(scanner, challenge)) scanner.skip_separators();
    challenges.push_back(std::move(challenge));
  }
  return challenges;
}

}  // namespace mlctr
