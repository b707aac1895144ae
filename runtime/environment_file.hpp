// Environment files in enroot's format (its doc/image-format.md): /etc/environment of its images, environ.d/*.env, what
// hooks append to.
//
//   line    = [blanks] NAME "=" value        any other line, "#" lines among them, means nothing
//   NAME    = [A-Za-z_][A-Za-z0-9_]*         not ENROOT_* or MLCTR_*: those are the runtime's
//   value   = text, or text in quotes of either kind, which go; "${NAME}" in it is a variable of the host's
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr::runtime {

/// A variable's value; empty where there is none.
using VariableLookup = std::function<std::string(std::string_view name)>;

/// Of "NAME=VALUE" entries; the last of a name counts.
VariableLookup lookup_in(const std::vector<std::string>& entries);

/// Puts values in the place of each "${NAME}". "$NAME" stays as it is, and what a value brings is not looked at again.
/// Throws Error where more comes out than execve(2) takes as one variable (128 KiB).
std::string expand_variables(std::string_view text, const VariableLookup& value_of);

/// "NAME=VALUE" in the order of the lines. A line with a NUL byte is left out: no environment can hold it.
std::vector<std::string> parse_environment_file(std::string_view text);

/// The numbers, from 1, of the lines that it leaves out and that are neither blank nor comments.
std::vector<std::size_t> ignored_lines(std::string_view text);

bool is_environment_name(std::string_view name);

}  // namespace mlctr::runtime
