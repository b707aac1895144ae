// <<NAME in a line: the heredocs that follow it.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "containerfile/instruction.hpp"

namespace mlctr::containerfile {

/// The heredoc that `word` (quotes in it) begins, without content; absent where it begins none.
std::optional<Heredoc> heredoc_in(std::string_view word);

/// Those of a whole line, in order.
std::vector<Heredoc> heredocs_in(std::string_view line);

/// Whether `line` (with its newline) ends the heredoc.
bool ends_heredoc(const Heredoc& heredoc, std::string_view line);

}  // namespace mlctr::containerfile
