#include "image/json_value.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

// "line 3, column 7" of the byte with this offset.
std::string locate(std::string_view text, std::size_t offset) {
  const std::string_view before = text.substr(0, std::min(offset, text.size()));
  const auto line = std::ranges::count(before, '\n') + 1;
  const std::size_t line_start = before.rfind('\n') + 1;  // npos + 1 is 0: the first line
  return fmt::format("line {}, column {}", line, before.size() - line_start + 1);
}

// What a path shows without quotes.
bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 &&
         std::ranges::all_of(name, [](char c) { return is_alphanumeric(c) || c == '_'; });
}

std::string member_path(std::string_view parent, std::string_view name) {
  return is_plain_name(name) ? fmt::format("{}.{}", parent, name) : fmt::format("{}[\"{}\"]", parent, printable(name));
}

}  // namespace

void check_json_limits(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes) {
    throw Error(fmt::format("the JSON has {} bytes, more than the {} allowed", text.size(), limits.max_bytes));
  }
  // Counting brackets and commas is enough: whether they make sense is for the parser to say.
  std::size_t depth = 0;
  std::size_t values = 1;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    if (c == '"') in_string = true;
    if (c == '[' || c == '{') ++depth;
    if ((c == ']' || c == '}') && depth > 0) --depth;
    // Every value but the first follows one of these.
    if (c == ',' || c == '[' || c == '{') ++values;
    if (depth > limits.max_depth) {
      throw Error(fmt::format("the JSON is nested deeper than {} levels at {}", limits.max_depth, locate(text, i)));
    }
    if (values > limits.max_values) throw Error(fmt::format("the JSON has more than {} values", limits.max_values));
  }
}

nlohmann::json parse_json(std::string_view text, const JsonLimits& limits) {
  check_json_limits(text, limits);
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& error) {
    // The library's own message quotes the text, which may be hostile or a secret. Its byte is the one after the last
    // read.
    throw Error(fmt::format("not valid JSON at {}", locate(text, error.byte == 0 ? 0 : error.byte - 1)));
  } catch (const nlohmann::json::out_of_range&) {
    throw Error("not valid JSON: a number is out of range");
  }
}

JsonValue::JsonValue(const nlohmann::json& document, std::string path) : value_(&document), path_(std::move(path)) {}

std::optional<JsonValue> JsonValue::find(std::string_view name) const {
  if (!value_->is_object()) fail_expecting("an object");
  const auto found = value_->find(name);
  if (found == value_->end() || found->is_null()) return std::nullopt;
  return JsonValue(*found, member_path(path_, name));
}

JsonValue JsonValue::at(std::string_view name) const {
  std::optional<JsonValue> member = find(name);
  if (!member) throw Error(member_path(path_, name) + ": missing");
  return *std::move(member);
}

std::string JsonValue::text_of(std::string_view name) const {
  const std::optional<JsonValue> member = find(name);
  return member ? member->as_string() : std::string();
}

std::string JsonValue::as_string() const {
  if (!value_->is_string()) fail_expecting("a string");
  std::string text = value_->get<std::string>();
  // No name, path, URL or argument has one, and everything after it would be lost on the way through the C library.
  if (text.find('\0') != std::string::npos) fail("the string has a NUL character in it");
  return text;
}

std::uint64_t JsonValue::as_unsigned(std::uint64_t max) const {
  // The parser makes 1e3, 1.0 and what is over 64 bits a float: no size is written like that.
  if (!value_->is_number_unsigned()) {
    if (value_->is_number()) fail("expected a whole number that is not negative");
    fail_expecting("a number");
  }
  const auto number = value_->get<std::uint64_t>();
  if (number > max) fail(fmt::format("{} is more than the {} allowed", number, max));
  return number;
}

Digest JsonValue::as_digest() const {
  try {
    return Digest::parse(as_string());
  } catch (const UsageError& error) {
    fail(error.message());  // not the user's usage: the document is wrong
  }
}

std::vector<JsonValue> JsonValue::elements(std::size_t max_count) const {
  if (!value_->is_array()) fail_expecting("an array");
  if (value_->size() > max_count)
    fail(fmt::format("it has {} elements, more than the {} allowed", value_->size(), max_count));
  std::vector<JsonValue> children;
  children.reserve(value_->size());
  for (const nlohmann::json& element : *value_) {
    children.emplace_back(element, fmt::format("{}[{}]", path_, children.size()));
  }
  return children;
}

std::vector<std::pair<std::string, JsonValue>> JsonValue::members() const {
  if (!value_->is_object()) fail_expecting("an object");
  std::vector<std::pair<std::string, JsonValue>> children;
  children.reserve(value_->size());
  for (const auto& [name, member] : value_->items()) {
    JsonValue child(member, member_path(path_, name));
    if (name.find('\0') != std::string::npos) child.fail("the name has a NUL character in it");
    children.emplace_back(name, std::move(child));
  }
  return children;
}

std::vector<std::string> JsonValue::as_strings() const {
  std::vector<std::string> strings;
  for (const JsonValue& element : elements(value_->size())) strings.push_back(element.as_string());
  return strings;
}

bool JsonValue::is_object() const noexcept {
  return value_->is_object();
}
bool JsonValue::is_string() const noexcept {
  return value_->is_string();
}
bool JsonValue::is_unsigned() const noexcept {
  return value_->is_number_unsigned();
}
bool JsonValue::is_null() const noexcept {
  return value_->is_null();
}

void JsonValue::fail(std::string_view why, std::string hint) const {
  throw Error(fmt::format("{}: {}", path_, why), std::move(hint));
}

void JsonValue::fail_expecting(std::string_view kind) const {
  fail(fmt::format("expected {}, found {}", kind,
                   value_->is_null()      ? "null"
                   : value_->is_string()  ? "a string"
                   : value_->is_array()   ? "an array"
                   : value_->is_object()  ? "an object"
                   : value_->is_boolean() ? "a boolean"
                                          : "a number"));
}

}  // namespace mlctr
