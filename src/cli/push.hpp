// mlctr push, for command_line.cpp.
#pragma once

#include "cli/commands.hpp"

namespace mlctr::cli {

void add_push(CLI::App& program, Action& chosen);

}  // namespace mlctr::cli
