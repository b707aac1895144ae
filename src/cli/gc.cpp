// mlctr gc
#include <fmt/format.h>

#include <array>
#include <nlohmann/json.hpp>

#include "app/collect_garbage.hpp"
#include "app/quantity.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

using Effect = GarbageRequest::Effect;

struct CollectOptions {
  std::string max_size;
  std::string ended_job;
  Effect effect = Effect::remove;
  Format format = Format::text;
};

std::string_view kind_name(RemovedEntry::Kind kind) {
  switch (kind) {
    case RemovedEntry::Kind::image:
      return "image";
    case RemovedEntry::Kind::layer:
      return "layer";
    case RemovedEntry::Kind::reference:
      return "reference";
    case RemovedEntry::Kind::partial_download:
      return "unfinished download";
    case RemovedEntry::Kind::temporary:
      return "temporary file";
    case RemovedEntry::Kind::unpacked_image:
      return "unpacked image";
    case RemovedEntry::Kind::container_leftover:
      return "container, half removed";
    case RemovedEntry::Kind::job_container:
      return "container of a job";
    case RemovedEntry::Kind::build_step:
      return "step of a build";
    case RemovedEntry::Kind::build_leftover:
      return "what a build left";
    case RemovedEntry::Kind::build_cache:
      return "cache of RUN --mount";
  }
  return "";
}

void print_report(const GarbageReport& report, Effect effect) {
  for (const RemovedEntry& entry : report.removed) {
    print(fmt::format("{:<23} {:>8}  {}\n", kind_name(entry.kind), format_bytes(entry.bytes),
                      printable(entry.name, 4096)));
  }
  const bool is_report = effect == Effect::report;
  print(fmt::format("{} {}; the layer cache {} {}\n", is_report ? "would free" : "freed",
                    format_bytes(report.freed_bytes), is_report ? "would hold" : "holds",
                    format_bytes(report.layers_bytes)));
  if (report.in_use > 0) say(fmt::format("{} more in use by running pulls", report.in_use));
}

nlohmann::ordered_json to_json(const GarbageReport& report) {
  nlohmann::ordered_json removed = nlohmann::ordered_json::array();
  for (const RemovedEntry& entry : report.removed) {
    removed.push_back({{"kind", kind_name(entry.kind)}, {"name", entry.name}, {"size", entry.bytes}});
  }
  return {{"removed", removed},
          {"freed", report.freed_bytes},
          {"layers_total", report.layers_bytes},
          {"in_use", report.in_use}};
}

void collect(const CollectOptions& options, std::stop_token stop) {
  GarbageRequest request{.effect = options.effect, .max_layer_bytes = {}, .ended_job = options.ended_job};
  if (!options.max_size.empty()) request.max_layer_bytes = parse_size(options.max_size);
  const GarbageReport report = collect_garbage(load_configuration(), request, std::move(stop));
  warn_of(report.broken);
  if (options.format == Format::json)
    print_json(to_json(report));
  else
    print_report(report, options.effect);
}

}  // namespace

void add_gc(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<CollectOptions>();
  CLI::App* command = program.add_subcommand("gc", "Remove what no image needs");
  command->group(k_store_group);
  command
      ->add_option("--max-size", options->max_size,
                   "Keep at most this much of cached layers: 50G, 0 (default: gc.layer_cache)")
      ->type_name("SIZE");
  command
      ->add_option(
          "--ended-job", options->ended_job,
          "A Slurm job that has ended, for its epilog: its --container-scope=job containers go (default: those of\n"
          "jobs that Slurm does not know any more)")
      ->type_name("ID");
  command->add_flag_callback(
      "--dry-run,-n", [options] { options->effect = Effect::report; }, "Only say what would go");
  command->add_flag_callback(
      "--json", [options] { options->format = Format::json; }, "One object");
  command->footer(
      "Safe while others pull. What was used longest ago goes first.\n"
      "--json: removed [kind, name, size], freed, layers_total (bytes), in_use\n");
  command->final_callback([options, &chosen] {
    chosen = [options] {
      run_stoppable([&](std::stop_token stop) { collect(*options, std::move(stop)); },
                    "what was removed stays removed");
      return 0;
    };
  });
}

}  // namespace mlctr::cli
