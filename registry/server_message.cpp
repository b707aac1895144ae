#include "registry/server_message.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/printable.hpp"

namespace mlctr {
namespace {

using nlohmann::json;

constexpr std::size_t k_max_message_bytes = 200;
// A digest has 71 characters, a bearer token hundreds: a server may echo ours.
constexpr std::size_t k_max_word_bytes = 80;

std::string string_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string first_error(const json& errors) {
  if (!errors.is_array()) return {};
  for (const json& error : errors) {
    if (!error.is_object()) continue;
    const std::string message = string_at(error, "message");
    if (!message.empty()) return message;
    const std::string code = string_at(error, "code");
    if (!code.empty()) return code;
  }
  return {};
}

std::string without_long_words(std::string_view text) {
  std::string kept;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find(' '), text.size());
    kept += end > k_max_word_bytes ? "..." : text.substr(0, end);
    if (end < text.size()) kept += ' ';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return kept;
}

}  // namespace

std::string server_message(std::string_view body) {
  if (body.size() > k_max_error_body_bytes) return {};
  const json parsed = json::parse(body, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return {};
  std::string message;
  if (const auto errors = parsed.find("errors"); errors != parsed.end()) message = first_error(*errors);
  for (const char* key : {"error_description", "details", "message", "error"}) {
    if (message.empty()) message = string_at(parsed, key);
  }
  return printable_lines(without_long_words(message), k_max_message_bytes);
}

}  // namespace mlctr
