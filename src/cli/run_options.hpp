// The options that say how a container is to be: those of run, exec and create.
#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "app/run_container.hpp"
#include "base/error.hpp"

namespace mlctr::cli {

struct RunOptions {
  RunRequest request;
  std::vector<std::string> mounts, environment, environment_files, unshared;
};

/// How a program starts: --env, --workdir, --remap-root …
void add_program_options(CLI::App& command, const std::shared_ptr<RunOptions>& options);
/// What a container is made of, which can't be changed once it runs: --mount, --unshare, --read-only …
void add_container_options(CLI::App& command, const std::shared_ptr<RunOptions>& options);

/// Those of add_container_options() that the command line has: "--mount".
std::vector<std::string> given_container_options(const CLI::App& command);

/// Reads the --env-file, looks at the mounts' sources. Throws UsageError.
RunRequest make_run_request(const RunOptions& options, const runtime::Host& host);

/// What stands behind the options: an image or a container, then the program's own words.
struct RunWords {
  std::string target;
  std::vector<std::string> command;
};

/// Leaves out a "--" between the two. Throws UsageError where the first word is an option that there is not, or where
/// there is none: `missing` says so then.
RunWords split_run_words(const std::vector<std::string>& words, std::string_view command, const UsageError& missing);

/// Ends mlctr as the program ended: with its exit code, or of the signal that a user stops programs with.
int end_as(const runtime::ProgramEnd& end);

}  // namespace mlctr::cli
