// The program of a container: from here on the process is the user's.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "runtime/identity.hpp"

namespace mlctr::runtime {

struct Program {
  std::vector<std::string> command;      ///< not empty; [0] is looked up in the PATH of `environment`
  std::vector<std::string> environment;  ///< "NAME=VALUE", a name once
  std::vector<std::string> directories;  ///< the first that exists in the container becomes the current one; an Error where none does
  Remap remap = Remap::none;
  std::optional<mode_t> umask{};  ///< absent: the session's
};

/// Where execve(2) is to look for `name`: itself where it has a slash, else in each directory of the PATH that
/// `environment` has.
std::vector<std::string> program_paths(const std::string& name, const std::vector<std::string>& environment);

/// A command that can't be run: the exit code says how, as in a shell and in docker.
class CommandError : public Error {
 public:
  enum class Kind { not_executable = 126, not_found = 127 };
  CommandError(Kind kind, std::string message, std::string hint)
      : Error(std::move(message), std::move(hint)), kind_(kind) {}
  int exit_code() const noexcept { return static_cast<int>(kind_); }

 private:
  Kind kind_;
};

/// Becomes the program; the calling process is in the container already. Its signals are as they were before mlctr
/// touched them. Throws CommandError.
[[noreturn]] void become(const Program& program);

}  // namespace mlctr::runtime
