#include "registry/netrc.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "registry/registry_key.hpp"

namespace mlctr {
namespace {

bool is_name_character(char c) {
  return is_alphanumeric(c) || c == '_';
}

// Takes the variable at the start of `rest` ("NAME…" or "{NAME}…", the "$" is gone) off it. Empty where there is none.
std::string_view take_variable(std::string_view& rest) {
  const bool in_braces = rest.starts_with('{');
  if (in_braces) rest.remove_prefix(1);
  const std::size_t length = std::ranges::find_if_not(rest, is_name_character) - rest.begin();
  const std::string_view name = rest.substr(0, length);
  rest.remove_prefix(length);
  if (in_braces) {
    if (!rest.starts_with('}')) return {};
    rest.remove_prefix(1);
  }
  return name.empty() || is_digit(name.front()) ? std::string_view() : name;
}

// What a shell would make of the expression, as far as that is only putting variables in; a value is not looked at
// again.
std::string expand(std::string_view expression, std::size_t line) {
  constexpr std::string_view k_special_to_shells = " \t\"'`\\;&|<>(){}[]*?!#~";
  std::string value;
  for (std::string_view rest = expression; !rest.empty();) {
    const char c = rest.front();
    rest.remove_prefix(1);
    if (c != '$' && k_special_to_shells.find(c) == std::string_view::npos) {
      value += c;
      continue;
    }
    const std::string_view name = c == '$' ? take_variable(rest) : std::string_view();
    if (name.empty()) {
      throw Error(
          fmt::format("line {}: the password is a shell command, which mlctr does not run", line),
          "put the command's output into a variable (export TOKEN=$(…)) and write `password $TOKEN`, or sign in with "
          "`mlctr login`");
    }
    const char* const found = std::getenv(std::string(name).c_str());
    if (found == nullptr) {
      throw Error(fmt::format("line {}: the password is in the environment variable {}, which is not set", line, name),
                  "export it; a password that begins with '$' itself must stand in double quotes");
    }
    value += found;
  }
  return value;
}

std::string_view without_port(std::string_view host) {
  const std::size_t colon = host.rfind(':');
  // The colons of a bracketed IPv6 address are not a port's.
  if (colon == std::string_view::npos || host.find(']', colon) != std::string_view::npos) return host;
  return host.substr(0, colon);
}

}  // namespace

class Netrc::Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  std::size_t line() const noexcept { return line_; }

  // The next word, quotes undone; absent at the end.
  std::optional<std::string> word() {
    skip_blanks_and_comments();
    if (at_ == text_.size()) return std::nullopt;
    if (text_[at_] == '"') return quoted();
    const std::size_t end = std::min(text_.find_first_of(" \t\r\n", at_), text_.size());
    return std::string(take_until(end));
  }

  std::string value(std::string_view keyword) {
    const std::size_t keyword_line = line_;
    std::optional<std::string> found = word();
    if (!found) throw Error(fmt::format("line {}: nothing follows '{}'", keyword_line, keyword));
    return *std::move(found);
  }

  bool is_at_expression() {
    skip_blanks_and_comments();
    return at_ < text_.size() && text_[at_] == '$';
  }

  // An expression, to the end of the line where it is a command: its words are not ours ("az acr login").
  std::string expression() {
    const std::size_t end_of_line = std::min(text_.find_first_of("\r\n", at_), text_.size());
    const std::size_t end_of_word = std::min(text_.find_first_of(" \t", at_), end_of_line);
    const bool is_command = text_.substr(at_, end_of_word - at_).find_first_of("(`\"'") != std::string_view::npos;
    return std::string(take_until(is_command ? end_of_line : end_of_word));
  }

  // A macro's lines go up to the first empty one.
  void skip_macro() {
    const std::size_t end = std::min(text_.find("\n\n", at_), text_.size());
    take_until(end);
  }

 private:
  std::string_view take_until(std::size_t end) {
    const std::string_view taken = text_.substr(at_, end - at_);
    line_ += static_cast<std::size_t>(std::ranges::count(taken, '\n'));
    at_ = end;
    return taken;
  }

  bool is_at_line_start() const {
    const std::size_t before = at_ == 0 ? std::string_view::npos : text_.find_last_not_of(" \t", at_ - 1);
    return before == std::string_view::npos || text_[before] == '\n';
  }

  // A "#" is a comment at the start of a line only: elsewhere it is a password's.
  void skip_blanks_and_comments() {
    for (;;) {
      take_until(std::min(text_.find_first_not_of(" \t\r\n", at_), text_.size()));
      if (at_ == text_.size() || text_[at_] != '#' || !is_at_line_start()) return;
      take_until(std::min(text_.find('\n', at_), text_.size()));
    }
  }

  std::string quoted() {
    std::string value;
    for (std::size_t i = at_ + 1; i < text_.size() && text_[i] != '\n'; ++i) {
      if (text_[i] == '"') {
        take_until(i + 1);
        return value;
      }
      if (text_[i] != '\\' || i + 1 == text_.size()) {
        value += text_[i];
        continue;
      }
      const char escaped = text_[++i];
      value += escaped == 'n' ? '\n' : escaped == 'r' ? '\r' : escaped == 't' ? '\t' : escaped;
    }
    throw Error(fmt::format("line {}: a double quote is not closed", line_));
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::size_t line_ = 1;
};

Netrc Netrc::parse(std::string_view text) {
  Netrc netrc;
  Scanner scanner(text);
  while (const std::optional<std::string> keyword = scanner.word()) {
    if (*keyword == "machine" || *keyword == "default") {
      netrc.entries_.push_back({.machine = *keyword == "default" ? std::string() : scanner.value(*keyword),
                                .login = {},
                                .password = {},
                                .is_expression = false,
                                .line = scanner.line()});
    } else if (*keyword == "macdef") {
      scanner.skip_macro();
    } else if (netrc.entries_.empty()) {
      throw Error(fmt::format("line {}: expected 'machine' or 'default'", scanner.line()));
    } else if (*keyword == "login") {
      netrc.entries_.back().login = scanner.value(*keyword);
    } else if (*keyword == "password") {
      Entry& entry = netrc.entries_.back();
      entry.is_expression = scanner.is_at_expression();
      entry.password = entry.is_expression ? scanner.expression() : scanner.value(*keyword);
    } else if (*keyword == "account") {  // FTP's
      scanner.value(*keyword);
    } else {
      // Not shown: the second half of a password with a space in it would end up here.
      throw Error(fmt::format("line {}: a word that is none of machine, login, password, account", scanner.line()),
                  "a value with spaces must stand in double quotes");
    }
  }
  return netrc;
}

Credential Netrc::resolve(const Entry& entry) {
  return {.username = entry.login,
          .password = entry.is_expression ? expand(*entry.password, entry.line) : *entry.password,
          .identity_token = {},
          .source = {}};
}

std::optional<Credential> Netrc::find(const CredentialQuery& query) const {
  const std::string registry = normalize_registry(query.registry);
  const std::string host = normalize_registry(without_port(registry));
  // An entry without a password is no answer: a later one of the host may have it.
  const auto first_for = [&](std::string_view wanted) {
    return std::ranges::find_if(entries_, [&](const Entry& entry) {
      return entry.password && (query.user.empty() || entry.login == query.user) &&
             normalize_registry(entry.machine) == wanted;
    });
  };
  for (const std::string_view wanted : {std::string_view(registry), std::string_view(host), std::string_view()}) {
    if (const auto entry = first_for(wanted); entry != entries_.end()) return resolve(*entry);
  }
  return std::nullopt;
}

}  // namespace mlctr
