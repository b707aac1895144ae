#include "runtime/environment_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "runtime/environment.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::size_t k_max_variable_bytes = 128u << 10;  // MAX_ARG_STRLEN
constexpr std::string_view k_blanks = " \t\r\v\f";

bool is_name_character(char c) {
  return is_alphanumeric(c) || c == '_';
}

bool is_quote(char c) {
  return c == '"' || c == '\'';
}

bool is_reserved(std::string_view name) {
  return name.starts_with("ENROOT_") || name.starts_with("MLCTR_");
}

// The two need not be of one kind: that is how enroot reads them.
std::string_view without_quotes(std::string_view value) {
  const std::size_t end = value.find_last_not_of(k_blanks) + 1;
  if (end < 2 || !is_quote(value.front()) || !is_quote(value[end - 1])) return value;
  return value.substr(1, end - 2);
}

bool says_nothing(std::string_view line) {
  const std::size_t begin = line.find_first_not_of(k_blanks);
  return begin == line.npos || line[begin] == '#';
}

std::optional<std::string> parse_line(std::string_view line) {
  line.remove_prefix(std::min(line.find_first_not_of(k_blanks), line.size()));
  const std::size_t equals = line.find('=');
  if (equals == line.npos || line.find('\0') != line.npos) return std::nullopt;
  const std::string_view name = line.substr(0, equals);
  if (!is_environment_name(name) || is_reserved(name)) return std::nullopt;
  std::string entry(line.substr(0, equals + 1));
  return entry.append(without_quotes(line.substr(equals + 1)));
}

// Without its end.
std::string_view take_line(std::string_view& text) {
  const std::string_view line = text.substr(0, text.find('\n'));
  text.remove_prefix(std::min(line.size() + 1, text.size()));
  return line;
}

}  // namespace

VariableLookup lookup_in(const std::vector<std::string>& entries) {
  return [&entries](std::string_view name) -> std::string {
    for (auto entry = entries.rbegin(); entry != entries.rend(); ++entry) {
      if (is_entry_of(*entry, name)) return entry->substr(name.size() + 1);
    }
    return "";
  };
}

std::string expand_variables(std::string_view text, const VariableLookup& value_of) {
  std::string expanded;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t dollar = std::min(text.find("${", at), text.size());
    expanded.append(text.substr(at, dollar - at));
    if (dollar == text.size()) break;
    const std::size_t brace = text.find('}', dollar);
    const std::string_view name = brace == text.npos ? "" : text.substr(dollar + 2, brace - dollar - 2);
    const bool is_reference = is_environment_name(name);
    expanded.append(is_reference ? value_of(name) : "${");
    at = is_reference ? brace + 1 : dollar + 2;
    if (expanded.size() > k_max_variable_bytes) {
      throw Error(fmt::format("more than {} bytes come of one variable of the environment", k_max_variable_bytes),
                  "shorten what it takes of the host's, as ${NAME}");
    }
  }
  return expanded;
}

std::vector<std::string> parse_environment_file(std::string_view text) {
  std::vector<std::string> entries;
  while (!text.empty()) {
    if (auto entry = parse_line(take_line(text))) entries.push_back(std::move(*entry));
  }
  return entries;
}

std::vector<std::size_t> ignored_lines(std::string_view text) {
  std::vector<std::size_t> numbers;
  for (std::size_t number = 1; !text.empty(); ++number) {
    const std::string_view line = take_line(text);
    if (!says_nothing(line) && !parse_line(line)) numbers.push_back(number);
  }
  return numbers;
}

bool is_environment_name(std::string_view name) {
  return !name.empty() && !is_digit(name[0]) && std::ranges::all_of(name, is_name_character);
}

}  // namespace mlctr::runtime
