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

/// Runs `file` in a process group of its own, with all capabilities of the calling process and nothing in its
/// environment but `environment` ("NAME=VALUE"), in /, its standard input and output empty, and waits for it. What is
/// left of the group then is killed. A signal that would end this process does so, once the hook is gone. Throws Error
/// where it can't be started, fails or takes longer than `timeout`.
void run_hook(const std::filesystem::path& file, const std::vector<std::string>& environment,
              std::chrono::seconds timeout, HookOutput output);

}  // namespace mlctr::runtime
