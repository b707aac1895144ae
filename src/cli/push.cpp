// mlctr push
#include <fmt/format.h>

#include <chrono>
#include <nlohmann/json.hpp>

#include "app/push_image.hpp"
#include "base/printable.hpp"
#include "base/shell_word.hpp"
#include "cli/compression_option.hpp"
#include "cli/figures.hpp"
#include "cli/output.hpp"
#include "cli/progress_display.hpp"
#include "cli/push.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

struct PushOptions {
  PushRequest request;
  Verbosity verbosity = Verbosity::normal;
  Format format = Format::text;
};

PushedImage push_as_asked(const PushOptions& options, std::stop_token stop) {
  const Configuration configuration = load_configuration();
  ProgressBoard board;
  const ProgressDisplay display(board, {.action = "push " + printable(options.request.image),
                                        .direction = Direction::push,
                                        .verbosity = options.verbosity});
  return push_image(configuration, options.request, board, std::move(stop));
}

std::string how_it_was(const PushedImage& image, std::chrono::duration<double> took) {
  std::string text = fmt::format("{} layer{}", image.layers, image.layers == 1 ? "" : "s");
  if (!image.platforms.empty()) text = fmt::format("for {} platforms, {}", image.platforms.size(), text);
  if (image.present > 0) text += fmt::format(", {} already there", image.present);
  if (image.mounted > 0) text += fmt::format(", {} taken from another repository there", image.mounted);
  return fmt::format("{}, {} sent, {}", text, format_bytes(image.sent_bytes), format_duration(took));
}

int push(const PushOptions& options) {
  const auto started = std::chrono::steady_clock::now();
  std::optional<PushedImage> image;
  run_stoppable([&](std::stop_token stop) { image = push_as_asked(options, std::move(stop)); },
                "layers that went up whole are not sent again");
  if (options.format == Format::json) {
    nlohmann::ordered_json platforms = nlohmann::ordered_json::array();
    for (const Platform& platform : image->platforms) platforms.push_back(platform.to_string());
    print_json({{"reference", image->reference},
                {"platforms", platforms},
                {"digest", image->manifest_digest.to_string()},
                {"layers", image->layers},
                {"layers_present", image->present},
                {"layers_mounted", image->mounted},
                {"sent", image->sent_bytes}});
  } else if (options.verbosity == Verbosity::normal) {
    say(fmt::format("{} is pushed ({}): {}", image->reference,
                    how_it_was(*image, std::chrono::steady_clock::now() - started),
                    image->manifest_digest.to_string()));
  } else {
    print(image->manifest_digest.to_string() + "\n");
  }
  return 0;
}

}  // namespace

void add_push(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<PushOptions>();
  CLI::App* command = program.add_subcommand("push", "Send an image of the store to a registry");
  command->group(k_images_group);
  command->add_option("REF", options->request.image, "The image, as `mlctr images` shows it")
      ->type_name("")
      ->required();
  command
      ->add_option("DESTINATION", options->request.destination,
                   "What it is to be called there: ghcr.io/me/py38:1 (default: REF)")
      ->type_name("");
  command
      ->add_option("--with", options->request.others,
                   "The same image for another platform: an index of both gets the name; may be given several times")
      ->allow_extra_args(false)
      ->type_name("REF");
  add_compression_option(*command, options->request.compression);
  command->add_flag_callback(
      "--rewrite-layers", [options] { options->request.rewrite = LayerRewrite::allow; },
      "Layers whose tar is not known any more get a new digest");
  command->add_flag_callback(
      "--quiet,-q", [options] { options->verbosity = Verbosity::quiet; },
      "Only errors, and the digest on standard output");
  command->add_flag_callback(
      "--json", [options] { options->format = Format::json; }, "One object");
  command->footer(
      "Examples:\n"
      "  mlctr login ghcr.io\n"
      "  mlctr commit py38 ghcr.io/me/py38:1\n"
      "  mlctr push ghcr.io/me/py38:1\n"
      "  mlctr push python:3.8 localhost:5000/python:3.8\n"
      "  mlctr push me/x:amd64 ghcr.io/me/x:1 --with me/x:arm64     # built with --platform linux/amd64 and linux/arm64\n"
      "Layers keep their diff_ids. What the registry has is not sent, nor even compressed. ^C stops at once; the next\n"
      "push sends what is missing.\n"
      "--json: reference, platforms (of an index), digest, layers, layers_present, layers_mounted, sent (bytes)\n");
  command->final_callback([options, &chosen] { chosen = [options] { return push(*options); }; });
}

}  // namespace mlctr::cli
