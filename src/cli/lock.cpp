// mlctr lock
#include <fmt/format.h>

#include <filesystem>

#include "app/lock_images.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/progress_display.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

struct LockOptions {
  LockRequest request;
  std::string containerfile, platform, output = k_lock_file_name;
  std::vector<std::string> arguments;
};

// Where no file and no image is named, what a build in this directory would take.
std::filesystem::path default_containerfile() {
  for (const char* name : {"Containerfile", "Dockerfile"}) {
    if (std::filesystem::exists(name)) return name;
  }
  throw UsageError("mlctr lock: what? There is neither a Containerfile nor a Dockerfile here",
                   "name images, or a file with -f");
}

LockRequest make_lock_request(const LockOptions& options) {
  LockRequest request = options.request;
  request.containerfile = options.containerfile;
  if (options.containerfile.empty() && request.references.empty()) request.containerfile = default_containerfile();
  if (!options.platform.empty()) request.platform = Platform::parse(options.platform);
  for (const std::string& argument : options.arguments) {
    const std::size_t equals = argument.find('=');
    if (equals == std::string::npos || equals == 0) {
      throw UsageError(fmt::format("--build-arg {}: no NAME=VALUE", printable(argument)));
    }
    request.arguments[argument.substr(0, equals)] = argument.substr(equals + 1);
  }
  return request;
}

int lock(const LockOptions& options) {
  const LockRequest request = make_lock_request(options);
  LockFile locked;
  run_stoppable(
      [&](std::stop_token stop) {
        ProgressBoard board;
        const ProgressDisplay display(board, {.action = "lock", .verbosity = Verbosity::normal});
        locked = lock_images(request, load_configuration(), board, std::move(stop));
      },
      "nothing was written");
  const std::string text = to_text(locked);
  if (options.output == k_standard_output) {
    print(text);
    return 0;
  }
  write_file_atomically(std::filesystem::absolute(options.output), text);  // it syncs the directory
  std::size_t packages = 0;
  for (const LockedImage& image : locked.images) packages += image.packages.size();
  say(fmt::format("{}: {} image{}, {} packages. Commit it; --locked holds pull, run and build to it",
                  printable(options.output, 4096), locked.images.size(), locked.images.size() == 1 ? "" : "s",
                  packages));
  return 0;
}

}  // namespace

void add_lock(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<LockOptions>();
  CLI::App* command = program.add_subcommand("lock", "Write down what images are now, for --locked");
  command->group(k_images_group);
  command->add_option("REF", options->request.references, "Images; without any, those of ./Containerfile")
      ->type_name("");
  command->add_option("--file,-f", options->containerfile, "The images of this Containerfile")->type_name("FILE");
  command->add_option("--build-arg", options->arguments, "For its FROMs")
      ->allow_extra_args(false)
      ->type_name("NAME=VALUE");
  command->add_option("--arch,--platform", options->platform, "For another machine")->type_name("ARCH");
  command->add_option("--output,-o", options->output, "Default: mlctr.lock; - is standard output")
      ->type_name("FILE")
      ->check(check_file_name);
  command->footer(
      "Written for each image: digests (index, manifest, squashfs), base layers, and the packages in it with versions\n"
      "and origins. Then: mlctr pull --locked REF, mlctr run --locked REF, mlctr run @mlctr.lock,\n"
      "srun --container-image=@mlctr.lock.\n");
  command->final_callback([options, &chosen] { chosen = [options] { return lock(*options); }; });
}

}  // namespace mlctr::cli
