// One instruction's line, split, and what it says.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "containerfile/containerfile.hpp"
#include "containerfile/flags.hpp"
#include "containerfile/split_words.hpp"

namespace mlctr::containerfile {

struct Statement {
  std::string keyword;  ///< upper case
  Slice written_keyword;
  std::vector<Word> flags;
  Slice arguments;
  std::vector<Heredoc> heredocs;
  char escape;
  std::string_view filename;

  [[noreturn]] void fail(Place place, std::string_view what, std::string hint = {}) const;
  Flags parse_flags(const std::vector<FlagKind>& known) const { return Flags::parse(flags, known, keyword, filename); }
};

Statement split_statement(Slice line, char escape, std::string_view filename);

/// Whether lines with heredocs may follow: of RUN, COPY and ADD (after ONBUILD too) that are not in the JSON form.
bool may_have_heredocs(const Statement& statement);

/// Throws SyntaxError, also where no instruction has that name. FROM is none here.
Body parse_body(const Statement& statement);
Stage parse_from(const Statement& statement);

CommandLine parse_command_line(const Statement& statement);
Run parse_run(const Statement& statement);
Copy parse_copy(const Statement& statement);
Add parse_add(const Statement& statement);
Healthcheck parse_healthcheck(const Statement& statement);

}  // namespace mlctr::containerfile
