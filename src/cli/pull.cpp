// mlctr pull
#include <fmt/format.h>

#include <chrono>

#include "app/pull_image.hpp"
#include "app/source_file.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/locked.hpp"
#include "cli/output.hpp"
#include "cli/pull_with_progress.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

struct PullOptions {
  std::string reference;
  std::string platform;
  std::string policy = "always";
  std::string output;
  Overwrite overwrite = Overwrite::refuse;
  SquashfsCopy squashfs_copy = SquashfsCopy::record_path;
  Locked locked = Locked::no;
  Verbosity verbosity = Verbosity::normal;
};

bool is_piped(const PullOptions& options) {
  return options.output == k_standard_output;
}

PullPolicy parse_policy(const std::string& name) {
  if (name == "missing") return PullPolicy::missing;
  if (name == "always") return PullPolicy::always;
  if (name == "newer") return PullPolicy::newer;
  throw UsageError(fmt::format("no such pull policy: {}", printable(name)), "it is missing, newer or always");
}

PullRequest make_request(const PullOptions& options) {
  PullRequest request{.source = find_source(options.reference)};
  if (!is_piped(options)) request.output = options.output;
  if (!options.platform.empty()) request.platform = Platform::parse(options.platform);
  request.policy = parse_policy(options.policy);
  request.overwrite = options.overwrite;
  request.squashfs_copy = options.squashfs_copy;
  return request;
}

std::string how_it_was(const PullResult& result, std::chrono::duration<double> took) {
  std::string text = format_bytes(result.image_bytes);
  if (result.was_present) return text;
  if (result.layers > 0) text += fmt::format(", {} layer{}", result.layers, result.layers == 1 ? "" : "s");
  if (result.layers_reused > 0) text += fmt::format(", {} reused", result.layers_reused);
  return text + ", " + format_duration(took);
}

// What there is now, and what to type next.
std::string last_line(const PullResult& result, const PullOptions& options, std::chrono::duration<double> took) {
  const bool is_in_file = !options.output.empty() && !is_piped(options);
  std::string text = fmt::format("{} is {} ({})", printable(result.reference, 4096),
                                 result.was_present ? "up to date" : "ready", how_it_was(result, took));
  if (is_piped(options)) text += " and written to standard output";
  if (is_in_file) text += fmt::format(" in {}", printable(options.output, 4096));
  const std::string next = is_in_file ? options.output : result.reference;
  return fmt::format("{}. Try: mlctr inspect {}", text, printable(shell_word(next), 4096));
}

PullResult pull_as_asked(const PullOptions& options, const PullRequest& request, std::stop_token stop) {
  const Configuration configuration = load_configuration();
  if (options.locked == Locked::yes) check_registry_locked(configuration, options.reference, request.platform, stop);
  PullResult result = pull_with_progress(request, configuration, options.reference, options.verbosity, stop);
  if (options.locked == Locked::yes) {
    check_image_locked(options.reference, request.platform, result.manifest_digest, result.squashfs);
  }
  if (is_piped(options)) print_image(result.squashfs, std::move(stop));
  return result;
}

int pull(const PullOptions& options) {
  const PullRequest request = make_request(options);
  if (is_piped(options)) {
    refuse_terminal(fmt::format("mlctr pull -o - {} | ssh HOST 'cat >image.sqsh'", shell_word(options.reference)));
  }
  const auto started = std::chrono::steady_clock::now();
  std::optional<PullResult> result;
  run_stoppable([&](std::stop_token stop) { result = pull_as_asked(options, request, std::move(stop)); },
                k_pull_goes_on);
  if (options.verbosity == Verbosity::normal) {
    say(last_line(*result, options, std::chrono::steady_clock::now() - started));
  } else if (!is_piped(options)) {  // else the image's bytes have standard output
    print(to_string(request.source) + "\n");
  }
  return 0;
}

}  // namespace

void add_pull(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<PullOptions>();
  CLI::App* command = program.add_subcommand("pull", "Take an image from a registry, or a file, into the store");
  command->group(k_images_group);
  command->add_option("REF", options->reference, "The image: python:3.8, nvcr.io#nvidia/pytorch:24.01-py3, oci:DIR …")
      ->type_name("")
      ->required();
  command->add_option("--arch,--platform", options->platform, "For another machine: arm64, linux/arm/v7 …")
      ->type_name("ARCH");
  command->add_option("--output,-o", options->output, "Also write the image here; - is standard output")
      ->type_name("FILE.sqsh")
      ->check(check_file_name);
  command
      ->add_option("--policy,--pull", options->policy,
                   "If it is here already: \"missing\" asks nobody, \"newer\" asks the registry but does without it,\n"
                   "\"always\" insists (default: always)")
      ->type_name("POLICY")
      ->check(CLI::IsMember({"missing", "newer", "always"}));
  command->add_flag_callback(
      "--quiet,-q", [options] { options->verbosity = Verbosity::quiet; },
      "Only errors, and the reference on standard output");
  command->add_flag_callback(
      "--force", [options] { options->overwrite = Overwrite::replace; }, "Replace the --output file if it exists");
  command->add_flag_callback(
      "--copy", [options] { options->squashfs_copy = SquashfsCopy::into_store; },
      "Copy an existing .sqsh into the store, not only its path");
  command->add_flag_callback(
      "--locked", [options] { options->locked = Locked::yes; },
      "Refuse what ./mlctr.lock does not say it is (mlctr lock writes it)");
  command->footer(
      "Examples:\n"
      "  mlctr pull python:3.8\n"
      "  mlctr pull --output pytorch.sqsh nvcr.io/nvidia/pytorch:24.01-py3\n"
      "  mlctr pull docker-archive:saved.tar\n"
      "  mlctr pull --arch arm64 --policy missing python:3.8\n"
      "^C stops at once; the next pull goes on from there.\n");
  command->final_callback([options, &chosen] { chosen = [options] { return pull(*options); }; });
}

}  // namespace mlctr::cli
