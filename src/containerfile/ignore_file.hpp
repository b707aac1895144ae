// .dockerignore and .containerignore: which files of a context a build does not see. Format: BuildKit's reference,
// ".dockerignore file"; matching as moby/patternmatcher does it. COPY --exclude has the same patterns.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerfile/wildcard.hpp"

namespace mlctr::containerfile {

class IgnorePatterns {
 public:
  IgnorePatterns() = default;

  /// One a line; "#" begins a comment line, "!" an exception. Throws SyntaxError with file, line and column.
  static IgnorePatterns parse(std::string_view text, std::string_view filename);
  /// One an element, as --exclude gives them. Throws Error.
  static IgnorePatterns of(const std::vector<std::string>& patterns);

  /// `path` is relative to the context, without "./" or a trailing "/". A file in an ignored directory is ignored
  /// too, unless a later exception names it or a directory above it.
  bool is_ignored(std::string_view path) const;

  /// Whether something below the ignored directory `path` may be there all the same: then a walk must enter it.
  bool may_hold_exceptions(std::string_view path) const;

  bool is_empty() const noexcept { return patterns_.empty(); }

 private:
  struct Pattern {
    std::string text;  ///< cleaned: no leading or trailing "/", no "." or ".."
    bool is_exception = false;
    Wildcard wildcard;
  };

  static std::optional<Pattern> read_pattern(std::string_view text);
  std::vector<bool> matched_by(std::string_view path, const std::vector<bool>& parent) const;

  std::vector<Pattern> patterns_;
};

}  // namespace mlctr::containerfile
