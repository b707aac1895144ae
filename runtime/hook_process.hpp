// One program of the site's or the user's, run on the host while a container is being made (runtime/hook_scripts.hpp).
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

namespace mlctr::runtime {

/// What becomes of a hook's standard error. labelled: its lines get the hook's name in front, and who is left of it
/// when it ends can't say any more.
enum class HookOutput { as_it_is, labelled };

struct HookProgram {
  std::filesystem::path file;
  std::vector<std::string> arguments{};    ///< from arguments[0] on; none: the file's path
  std::vector<std::string> environment{};  ///< "NAME=VALUE", and nothing else
  int input = -1;                          ///< its standard input; -1: empty
};

/// Runs it in a process group of its own, with all capabilities of the calling process, in /, its standard output
/// empty, and waits for it. What is left of the group then is killed. A signal that would end this process does so,
/// once the hook is gone. Throws Error where it can't be started, fails or takes longer than `timeout`.
void run_hook(const HookProgram& program, std::chrono::seconds timeout, HookOutput output);

/// This process's number as /proc has it, which is the host's still: in a pid namespace of its own getpid() is 1.
std::string process_number_on_host();

}  // namespace mlctr::runtime
