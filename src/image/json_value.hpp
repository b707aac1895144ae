// Hostile JSON read with bounds, and errors that name the place: "$.layers[2].digest: expected a string, found a
// number".
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "image/digest.hpp"

namespace mlctr {

/// Looked at before anything is allocated: nesting ends in recursion, a value costs 16 to 100 times its bytes in
/// memory.
struct JsonLimits {
  std::uint64_t max_bytes = 4u << 20;
  std::size_t max_depth = 64;
  std::size_t max_values = 200'000;
};

/// Throws Error where `text` goes over the limits.
void check_json_limits(std::string_view text, const JsonLimits& limits);

/// Throws Error with line and column where `text` is no JSON (RFC 8259) or goes over the limits.
nlohmann::json parse_json(std::string_view text, const JsonLimits& limits);

/// A place in a document that outlives it. Every accessor throws Error that begins with the place's JSON path.
class JsonValue {
 public:
  explicit JsonValue(const nlohmann::json& document, std::string path = "$");

  /// The member `name` of this object; null counts as absent, as it does for the tools that write these files.
  std::optional<JsonValue> find(std::string_view name) const;
  /// The same, but it must be there.
  JsonValue at(std::string_view name) const;
  /// The string member `name`; empty where it is absent.
  std::string text_of(std::string_view name) const;

  std::string as_string() const;
  std::uint64_t as_unsigned(std::uint64_t max) const;
  Digest as_digest() const;
  std::vector<JsonValue> elements(std::size_t max_count) const;
  std::vector<std::pair<std::string, JsonValue>> members() const;  ///< sorted by name
  std::vector<std::string> as_strings() const;

  bool is_object() const noexcept;
  bool is_string() const noexcept;
  bool is_unsigned() const noexcept;
  bool is_null() const noexcept;

  /// For what only the caller can judge: throws Error "PATH: why".
  [[noreturn]] void fail(std::string_view why, std::string hint = {}) const;

 private:
  [[noreturn]] void fail_expecting(std::string_view kind) const;

  const nlohmann::json* value_;
  std::string path_;
};

}  // namespace mlctr
