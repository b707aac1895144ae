// The text of a reference while it is parsed: its first division, and errors that point at a character of it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr {

std::vector<std::string_view> split(std::string_view text, char separator);

/// The hint "did you mean CANDIDATE?" where that is a valid reference, else the form of one.
std::string suggest_reference(std::string_view candidate);

/// Refers to `typed`, which must outlive it; so do all the views it gives.
class ReferenceText {
 public:
  explicit ReferenceText(std::string_view typed) : typed_(typed) {}

  struct Parts {
    std::optional<std::string_view> user;
    std::string_view name;  ///< with registry and tag
    std::optional<std::string_view> digest;
  };
  /// Takes "docker://" off and divides at the "@"s. Throws UsageError for another scheme.
  Parts split() const;

  std::string_view before(std::string_view part) const { return typed_.substr(0, part.data() - typed_.data()); }
  std::string_view end() const { return typed_.substr(typed_.size()); }

  /// Throws UsageError "invalid reference '…': character N: why", N being where `part` begins. Without a hint it
  /// suggests the text in lower case where that would be right, or else shows the form.
  [[noreturn]] void fail(std::string_view part, std::string_view why, std::string hint) const;
  /// The same for a character that may not be where it is.
  [[noreturn]] void fail_at_character(const char* character, std::string_view where) const;

 private:
  std::string shown() const;
  std::string in_lower_case() const;
  std::string suggestion() const;
  std::string_view without_scheme() const;

  std::string_view typed_;
};

}  // namespace mlctr
