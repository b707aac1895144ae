// mlctr gpus
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "app/container_edits.hpp"
#include "app/survey_gpus.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/table.hpp"

namespace mlctr::cli {
namespace {

std::string or_dash(std::string_view text) {
  return text.empty() ? "-" : printable(text);
}

void print_gpus(const std::vector<SurveyedGpu>& gpus) {
  using Narrow = Table::Narrow;
  Table table({{"GPU"},
               {"MODEL", Align::left, Narrow::cut_end},
               {"UUID", Align::left, Narrow::cut_middle},
               {"BUS"},
               {"MIG", Align::left, Narrow::drop},
               {"NODE"},
               {"USABLE"}});
  for (const SurveyedGpu& gpu : gpus) {
    table.add({gpu.index ? fmt::format("{}", *gpu.index) : "-", or_dash(gpu.model.empty() ? gpu.vendor : gpu.model),
               or_dash(gpu.uuid), or_dash(gpu.bus), or_dash(fmt::format("{}", fmt::join(gpu.slices, ","))),
               printable(gpu.node), gpu.problem.empty() ? "yes" : "no: " + printable(gpu.problem)});
  }
  print(table);
}

nlohmann::ordered_json to_json(const SurveyedGpu& gpu) {
  using Json = nlohmann::ordered_json;
  return {{"index", gpu.index ? Json(*gpu.index) : Json()},
          {"vendor", gpu.vendor},
          {"model", gpu.model},
          {"uuid", gpu.uuid},
          {"bus", gpu.bus},
          {"minor", gpu.minor ? Json(*gpu.minor) : Json()},
          {"mig", gpu.slices},
          {"node", gpu.node},
          {"usable", gpu.problem.empty()},
          {"problem", gpu.problem}};
}

int list(Format format) {
  const auto gpus = survey_gpus(hooks::HostView::of_machine(), hook_settings(load_configuration()));
  if (format == Format::json) {
    nlohmann::ordered_json json = nlohmann::ordered_json::array();
    for (const SurveyedGpu& gpu : gpus) json.push_back(to_json(gpu));
    print_json(json);
  } else if (gpus.empty()) {
    say("no GPU here that a driver shows; `mlctr doctor --gpu` says what is missing");
  } else {
    print_gpus(gpus);
  }
  return 0;
}

}  // namespace

void add_gpus(CLI::App& program, Action& chosen) {
  auto format = std::make_shared<Format>(Format::text);
  CLI::App* command = program.add_subcommand("gpus", "List the GPUs here, and whether containers can use them");
  command->group(k_mlctr_group);
  command->add_flag_callback(
      "--json", [format] { *format = Format::json; }, "An array of objects");
  command->footer(
      "GPU is what `mlctr run --gpus device=…` takes; a UUID or a place on the bus does as well.\n"
      "--json: index (null: it can't be used), vendor, model, uuid, bus, minor, mig, node, usable, problem\n");
  command->final_callback([format, &chosen] { chosen = [format] { return list(*format); }; });
}

}  // namespace mlctr::cli
