// A Containerfile's lines: parser directives, comments, continuations, and the raw lines of heredocs.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "containerfile/line.hpp"

namespace mlctr::containerfile {

class LineReader {
 public:
  struct Continued {
    Line line;
    std::uint32_t empty_line = 0;  ///< the first blank line inside it; 0: none
  };

  /// `text` must outlive it.
  LineReader(std::string_view text, std::string filename, std::optional<Place> fixed = {});

  /// The next line that has an instruction, without its comments. Throws SyntaxError for a bad directive.
  std::optional<Continued> next();

  /// The next line as it is, with its newline: part of a heredoc.
  std::optional<std::string_view> next_raw();

  std::uint32_t line_number() const noexcept { return number_; }  ///< of the line read last
  char escape() const noexcept { return escape_; }
  const std::string& filename() const noexcept { return filename_; }
  /// "syntax", "escape" and "check", as far as they are given.
  const std::map<std::string, std::string>& directives() const noexcept { return directives_; }

 private:
  void read_directive(std::string_view line, Place place);
  void set_escape(std::string_view value, Place place);
  bool append(Continued& continued, std::string_view piece, std::uint32_t column) const;
  void continue_line(Continued& continued);

  std::string_view rest_;
  std::string filename_;
  std::optional<Place> fixed_;
  std::uint32_t number_ = 0;
  char escape_ = '\\';
  bool may_have_directives_ = true;
  std::map<std::string, std::string> directives_;
};

}  // namespace mlctr::containerfile
