// The use case `mlctr run`: an image or a named container becomes a running program, without unpacking anything.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "app/changed_files.hpp"
#include "app/configuration.hpp"
#include "app/run_target.hpp"
#include "runtime/base_container.hpp"
#include "runtime/container.hpp"
#include "runtime/environment.hpp"
#include "runtime/renumbering.hpp"
#include "runtime/supervise.hpp"

namespace mlctr {

/// image: the image's ENTRYPOINT goes in front of the command, as docker has it. none: not.
enum class Entrypoint { image, none };
/// remove: a named container goes when its program ends.
enum class Lifetime { keep, remove };
/// tell: once an unnamed container's program ends, say on standard error if it changed files, and how to keep them.
enum class LostChanges { tell, silent };

struct RunRequest {
  std::vector<std::string> command{};  ///< empty: the image's CMD, else a shell
  runtime::Remap remap = runtime::Remap::none;
  runtime::RootfsAccess access = runtime::RootfsAccess::read_write;
  std::vector<runtime::Mount> mounts{};
  std::vector<std::string> environment{};  ///< --env and --env-file, "NAME=VALUE", the last wins
  std::string working_directory{};         ///< empty: see working_directories()
  Entrypoint entrypoint = Entrypoint::image;
  std::string own_entrypoint{};  ///< instead of the image's, whose CMD goes then too
  std::string container_name{};  ///< for the program to know; empty: unnamed
  std::string prompt_name{};     ///< see prompt_name_of(); empty: prompts stay as they are
  runtime::BaseOptions base{};
  std::optional<std::string> gpus{};               ///< --gpus, as it was typed
  std::vector<std::string> devices{};              ///< --device: "vendor/class=name"
  std::vector<runtime::Renumbering> renumbered{};  ///< what the container's GPUs make of the host's numbers
  Lifetime lifetime = Lifetime::keep;
  LostChanges lost_changes = LostChanges::silent;
  runtime::HookOutput hook_output = runtime::HookOutput::as_it_is;
  std::function<void(const std::string&)> tell{};  ///< takes a line about what is not as usual; may be empty
  std::function<void(const runtime::Environment&)> instead{};  ///< takes the program's place
  std::function<void()> before_join{};  ///< called where the container runs already, and so is as it is
};

/// Which container of that name the program ran in is for the caller to have found or made (create_container).
struct RunSubject {
  BaseImage image;
  std::optional<StoredContainer> container{};  ///< absent: unnamed, changes end with it
  std::vector<std::filesystem::path> layers{};  ///< layer files over the image, the lowest first: a build's
};

struct RunResult {
  runtime::ProgramEnd end;
  LostFiles lost_changes{};  ///< that an unnamed container's program changed; looked for where asked for
};

/// Becomes the program where it can: mlctr's process is the container's then. Where something is left to do afterwards
/// (a pid namespace of its own, --rm, telling of lost changes), waits, and says how the program ended. A container that
/// runs is joined. Throws Error, CommandError.
RunResult run_container(const Configuration& configuration, const RunSubject& subject, const RunRequest& request,
                        const runtime::Host& host);

/// For `--explain-hooks`: what the hooks would add to the container, as JSON. Nothing is run.
std::string explain_hooks(const Configuration& configuration, const RunSubject& subject, const RunRequest& request,
                          const runtime::Host& host);

/// For `--explain-env`: calls `print` with every variable the program would get, and who set it. Where there are hooks,
/// they run: only they know.
void explain_environment(const Configuration& configuration, const RunSubject& subject, const RunRequest& request,
                         const runtime::Host& host, const std::function<void(const runtime::Environment&)>& print);

}  // namespace mlctr
