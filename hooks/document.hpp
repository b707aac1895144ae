// A YAML or JSON document as a tree of values that know their line, for formats in which an unknown field is an error.
// Source: YAML 1.2, of which anchors and aliases, tags, keys that are no scalars and a second document are refused.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.hpp"

namespace mlctr::hooks {

/// What is wrong in a document, and in which line, from 1 on; 0: in none that can be told.
class DocumentError : public Error {
 public:
  DocumentError(std::size_t line, std::string message) : Error(std::move(message)), line_(line) {}
  std::size_t line() const noexcept { return line_; }

 private:
  std::size_t line_;
};

struct DocumentScalar {
  std::string text;
  bool is_quoted = false;  ///< a string whatever it looks like
};
struct DocumentMember;
struct DocumentNode {
  std::size_t line = 0;
  /// monostate: null. No initializer: clang would want DocumentMember for it before it is there.
  std::variant<std::monostate, DocumentScalar, std::vector<DocumentNode>, std::vector<DocumentMember>> value;
};
struct DocumentMember {
  std::string key;
  std::size_t line = 0;
  DocumentNode value;
};

/// Throws DocumentError.
DocumentNode parse_document(std::string_view text);

/// The fields of a map, each asked for by its name and type; null counts as absent. All throw DocumentError.
class DocumentFields {
 public:
  /// `what`: "a device", for messages; a literal.
  DocumentFields(const DocumentNode& node, std::string_view what);
  DocumentFields(const DocumentNode&&, std::string_view) = delete;  // it is looked at later

  /// Null where it is absent.
  const DocumentNode* find(std::string_view key);
  const DocumentNode& require(std::string_view key);
  std::string text(std::string_view key);           ///< empty where it is absent
  std::string required_text(std::string_view key);  ///< not empty
  std::vector<std::string> texts(std::string_view key);
  void for_each(std::string_view key, const std::function<void(const DocumentNode&)>& take);

  /// Throws where a field is there that nobody asked for.
  void finish() const;

 private:
  const std::vector<DocumentMember>* members_;
  std::size_t line_;
  std::string_view what_;
  std::vector<std::string_view> known_{};
};

const std::string& text_of(const DocumentNode& node, std::string_view what);
/// Decimal, 0x…, 0o… or, as YAML 1.1 has it, 0… octal; within the bounds.
std::int64_t number_of(const DocumentNode& node, std::string_view what, std::int64_t least, std::int64_t most);
bool truth_of(const DocumentNode& node, std::string_view what);

}  // namespace mlctr::hooks
