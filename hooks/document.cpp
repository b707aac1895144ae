#include "hooks/document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/printable.hpp"

namespace mlctr::hooks {
namespace {

struct Digits {
  std::string_view text;
  int base;
};

Digits digits_of(std::string_view text) {
  if (text.size() > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) return {text.substr(2), 16};
  if (text.size() > 2 && text[0] == '0' && text[1] == 'o') return {text.substr(2), 8};
  if (text.size() > 1 && text[0] == '0') return {text.substr(1), 8};
  return {text, 10};
}

const std::vector<DocumentMember>& members_of(const DocumentNode& node, std::string_view what) {
  if (const auto* members = std::get_if<std::vector<DocumentMember>>(&node.value)) return *members;
  throw DocumentError(node.line, fmt::format("{} must be a map of fields", what));
}

}  // namespace

DocumentFields::DocumentFields(const DocumentNode& node, std::string_view what)
    : members_(&members_of(node, what)), line_(node.line), what_(what) {}

const DocumentNode* DocumentFields::find(std::string_view key) {
  known_.push_back(key);
  const auto found = std::ranges::find(*members_, key, &DocumentMember::key);
  if (found == members_->end() || std::holds_alternative<std::monostate>(found->value.value)) return nullptr;
  return &found->value;
}

const DocumentNode& DocumentFields::require(std::string_view key) {
  if (const DocumentNode* node = find(key)) return *node;
  throw DocumentError(line_, fmt::format("{} has no {}", what_, key));
}

std::string DocumentFields::text(std::string_view key) {
  const DocumentNode* node = find(key);
  return node == nullptr ? "" : text_of(*node, key);
}

std::string DocumentFields::required_text(std::string_view key) {
  const DocumentNode& node = require(key);
  if (text_of(node, key).empty()) throw DocumentError(node.line, fmt::format("{} of {} is empty", key, what_));
  return text_of(node, key);
}

std::vector<std::string> DocumentFields::texts(std::string_view key) {
  std::vector<std::string> found;
  for_each(key, [&](const DocumentNode& node) { found.push_back(text_of(node, key)); });
  return found;
}

void DocumentFields::for_each(std::string_view key, const std::function<void(const DocumentNode&)>& take) {
  const DocumentNode* node = find(key);
  if (node == nullptr) return;
  const auto* items = std::get_if<std::vector<DocumentNode>>(&node->value);
  if (items == nullptr) throw DocumentError(node->line, fmt::format("{} must be a list", key));
  for (const DocumentNode& item : *items) take(item);
}

void DocumentFields::finish() const {
  for (const DocumentMember& member : *members_) {
    if (std::ranges::find(known_, member.key) != known_.end()) continue;
    throw DocumentError(member.line, fmt::format("{} has an unknown field, {}", what_, printable(member.key)));
  }
}

const std::string& text_of(const DocumentNode& node, std::string_view what) {
  const auto* scalar = std::get_if<DocumentScalar>(&node.value);
  if (scalar == nullptr) throw DocumentError(node.line, fmt::format("{} must be a text", what));
  // It would end early for whoever takes it as a path.
  if (scalar->text.find('\0') != std::string::npos) throw DocumentError(node.line, fmt::format("{} has a NUL", what));
  return scalar->text;
}

std::int64_t number_of(const DocumentNode& node, std::string_view what, std::int64_t least, std::int64_t most) {
  const auto* scalar = std::get_if<DocumentScalar>(&node.value);
  if (scalar != nullptr && !scalar->is_quoted) {
    const auto [text, base] = digits_of(scalar->text);
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
    if (error == std::errc{} && end == text.data() + text.size() && number >= least && number <= most) return number;
  }
  throw DocumentError(node.line, fmt::format("{} must be a number from {} to {}", what, least, most));
}

bool truth_of(const DocumentNode& node, std::string_view what) {
  const auto* scalar = std::get_if<DocumentScalar>(&node.value);
  if (scalar != nullptr && !scalar->is_quoted && scalar->text == "true") return true;
  if (scalar != nullptr && !scalar->is_quoted && scalar->text == "false") return false;
  throw DocumentError(node.line, fmt::format("{} must be true or false", what));
}

}  // namespace mlctr::hooks
