// --chmod of COPY and ADD: octal, or the symbols of chmod(1), which BuildKit's syntax has since 1.14.
//   mode   = octal | clause *("," clause)
//   clause = *("u" | "g" | "o" | "a") 1*(("+" | "-" | "=") (*("r" | "w" | "x" | "X" | "s" | "t") | "u" | "g" | "o"))
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace mlctr::build {

class ModeChange {
 public:
  /// Throws Error.
  static ModeChange parse(const std::string& text);

  /// What `mode`, with its file type, becomes: without the type. Where nobody is named, the umask is 022.
  mode_t apply(mode_t mode) const;

  const std::string& text() const noexcept { return text_; }

 private:
  struct Edit {
    mode_t who = 0;  ///< the bits that it is about; 0: nobody is named
    char operation = '=';
    mode_t bits = 0;
    char copied = 0;        ///< 'u', 'g' or 'o': the permissions that these have
    bool runs_too = false;  ///< X
  };

  static std::vector<Edit> parse_clause(const std::string& clause, const std::string& text);
  static mode_t apply(const Edit& edit, mode_t mode, bool is_directory);

  std::string text_;
  std::vector<Edit> edits_;
};

}  // namespace mlctr::build
