// Questions to the person at the terminal, whatever standard input and output are.
#pragma once

#include <stop_token>
#include <string>
#include <string_view>

namespace mlctr::cli {

enum class Typing { shown, hidden };

/// Asks on the controlling terminal and returns the line typed, without its end. Throws UsageError where there is no
/// terminal, Cancelled on stop or end of input; the terminal is put back in every case.
std::string ask(std::string_view question, Typing typing, std::stop_token stop);

/// The first line of standard input, for a password from a pipe.
std::string read_line_of_standard_input();

}  // namespace mlctr::cli
