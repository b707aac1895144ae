// mlctr build
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "app/build_image.hpp"
#include "app/build_source.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/build_display.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/find_or_pull.hpp"
#include "cli/locked.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

struct BuildOptions {
  std::string directory;
  std::string file;
  std::vector<std::string> references;
  std::vector<std::string> arguments;
  std::vector<std::string> secrets;
  std::string target;
  std::string platform;
  std::string progress = "auto";
  std::string pull_policy = "missing";
  build::StepReuse reuse = build::StepReuse::cached;
  Locked locked = Locked::no;
  Verbosity verbosity = Verbosity::normal;
  Format format = Format::text;
};

std::map<std::string, std::string> parse_arguments(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> arguments;
  for (const std::string& text : texts) {
    const std::size_t equals = text.find('=');
    const std::string name = text.substr(0, equals);
    if (name.empty())
      throw UsageError(fmt::format("--build-arg {}: no name", printable(text)), "--build-arg NAME=VALUE");
    if (equals != text.npos) {
      arguments[name] = text.substr(equals + 1);
    } else if (const char* value = std::getenv(name.c_str())) {
      arguments[name] = value;
    }
  }
  return arguments;
}

BaseImage get_base(const Configuration& configuration, const std::string& name, const BuildOptions& options,
                   const PullChoice& choice) {
  if (options.locked == Locked::yes) check_before_run(configuration, name);
  BaseImage base = find_or_pull_image(configuration, name, choice);
  if (options.locked == Locked::yes) check_target_locked(name, base);
  return base;
}

BaseImage get_base_for(const Configuration& configuration, const std::string& name, const Platform& platform,
                       const BuildOptions& options, const PullChoice& choice) {
  BaseImage base = find_or_pull_image_for(configuration, name, platform, choice);
  if (options.locked == Locked::yes && !base.manifest_digest.empty()) {
    check_image_locked(name, platform, Digest::parse(base.manifest_digest), base.squashfs);
  }
  return base;
}

std::map<std::string, BaseImage> get_bases(const Configuration& configuration, const BuildSource& source,
                                           const BuildOptions& options) {
  std::map<std::string, BaseImage> bases;
  const PullChoice choice{.policy = options.pull_policy, .verbosity = options.verbosity};
  for (const build::PlannedImage& image : source.plan.images) {
    std::optional<Platform> platform = image.platform;
    if (!platform && !options.platform.empty()) platform = Platform::parse(options.platform);
    BaseImage base = platform ? get_base_for(configuration, image.name, *platform, options, choice)
                              : get_base(configuration, image.name, options, choice);
    bases.emplace(image.key(), std::move(base));
  }
  return bases;
}

void tell(const BuiltImage& image, const BuildOptions& options, const BuildDisplay& display,
          std::chrono::steady_clock::duration time) {
  if (options.format == Format::json) {
    print_json({{"references", image.references}, {"digest", image.digest.to_string()}, {"size", image.bytes}});
  } else if (options.verbosity == Verbosity::quiet) {
    print(image.digest.to_string() + "\n");
  } else {
    const std::string name = image.references.empty() ? image.digest.to_string() : image.references.front();
    say(fmt::format("built {} ({}, {} of {} steps cached, {}). Try: mlctr run {}", name, format_bytes(image.bytes),
                    display.cached_steps(), display.cached_steps() + display.built_steps(), format_duration(time),
                    shell_word(name)));
  }
}

int build(const BuildOptions& options) {
  const auto started = std::chrono::steady_clock::now();
  const std::map<std::string, Fd> secrets = open_secrets(options.secrets);
  const Configuration configuration = load_configuration();
  const Platform platform = options.platform.empty() ? Platform::host() : Platform::parse(options.platform);
  const BuildRequest request{.references = options.references,
                             .arguments = parse_arguments(options.arguments),
                             .platform = platform,
                             .reuse = options.reuse};
  const BuildSource source = read_build_source({.directory = options.directory,
                                                .file = options.file,
                                                .target = options.target,
                                                .arguments = request.arguments,
                                                .platform = platform});
  const std::map<std::string, BaseImage> bases = get_bases(configuration, source, options);
  BuildDisplay display(parse_build_progress(options.progress, options.verbosity));
  std::optional<BuiltImage> image;
  run_stoppable(
      [&](std::stop_token stop) { image = build_image(configuration, source, bases, secrets, request, display, stop); },
      "steps that were done stay done");
  tell(*image, options, display, std::chrono::steady_clock::now() - started);
  return 0;
}

}  // namespace

void add_build(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<BuildOptions>();
  CLI::App* command = program.add_subcommand("build", "Make an image of a Containerfile (Dockerfile)");
  command->group(k_images_group);
  command->add_option("DIRECTORY", options->directory, "The context: what COPY and ADD find their files in")
      ->type_name("")
      ->required();
  const auto add_list = [&](const char* name, std::vector<std::string>& list, const char* help) {
    return command->add_option(name, list, help)->allow_extra_args(false);
  };
  command
      ->add_option("--file,-f", options->file, "Instead of DIRECTORY/Containerfile or Dockerfile; - is standard input")
      ->type_name("FILE");
  add_list("--tag,-t", options->references, "What the image is to be called; may be given several times")
      ->type_name("REF");
  add_list("--build-arg", options->arguments, "A value for an ARG; without =VALUE the environment's")
      ->type_name("NAME[=VALUE]");
  command->add_option("--target", options->target, "Build this stage, not the last")->type_name("STAGE");
  add_list("--secret", options->secrets, "For RUN --mount=type=secret: id=NAME,src=FILE or id=NAME,env=VARIABLE")
      ->type_name("SECRET");
  command->add_flag_callback(
      "--no-cache", [options] { options->reuse = build::StepReuse::none; }, "Carry every step out anew");
  command->add_flag_callback(
      "--locked", [options] { options->locked = Locked::yes; }, "Only with the base images that ./mlctr.lock names");
  command->add_option("--platform", options->platform, "linux/amd64, arm64 …; this machine's otherwise")
      ->type_name("PLATFORM");
  command->add_option("--pull", options->pull_policy, "Base images: missing, newer, always or never pulled")
      ->type_name("POLICY")
      ->check(CLI::IsMember({"missing", "newer", "always", "never"}));
  command->add_option("--progress", options->progress, "auto, plain (all that steps say), tty or quiet")
      ->type_name("KIND");
  command->add_flag_callback(
      "--quiet,-q", [options] { options->verbosity = Verbosity::quiet; }, "Only the image's digest, and errors");
  command->add_flag_callback(
      "--json", [options] { options->format = Format::json; }, "One object");
  command->footer(
      "RUN runs as root of a namespace with one user: chown succeeds and changes nothing, USER is for who runs the "
      "image.\n"
      "--json: references, digest, size (bytes)\n");
  command->final_callback([options, &chosen] { chosen = [options] { return build(*options); }; });
}

}  // namespace mlctr::cli
