// Runs a short-lived helper program and collects what it says (credential helpers). Never through a shell.
#pragma once

#include <chrono>
#include <string>
#include <vector>

namespace mlctr {

struct ProcessResult {
  int exit_code = 0;  ///< 128 + signal where a signal ended it
  std::string standard_output;
  std::string standard_error;
};

struct ProcessCommand {
  std::vector<std::string> arguments;  ///< arguments[0] is looked up in PATH
  std::string standard_input{};        ///< may hold a secret: it goes through a pipe, never an argv
  std::chrono::seconds timeout{60};
  std::size_t max_output_bytes = 1u << 20;
};

/// Waits for the program. SIGPIPE must be ignored in this process: a helper need not read its input. Throws SysError where it can't be started, Error where it ran past its time or said too much.
ProcessResult run_process(const ProcessCommand& command);

}  // namespace mlctr
