// mlctr doctor
#include "app/doctor.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <sstream>

#include "app/container_edits.hpp"
#include "app/survey_gpus.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/styled_line.hpp"
#include "cli/terminal.hpp"
#include "cli/text_width.hpp"

namespace mlctr::cli {
namespace {

constexpr int k_no_run = 1;  // 125 would mean that nothing could be found out
constexpr std::size_t k_status_columns = 6, k_name_columns = 19;
constexpr std::size_t k_text_at = k_status_columns + k_name_columns;
constexpr std::size_t k_narrowest_text = 20;
constexpr std::size_t k_columns = 80;  // off a terminal

struct Word {
  std::string_view text, json;
  Style style;
};

Word word_of(ProbeStatus status) {
  switch (status) {
    case ProbeStatus::ok:
      return {"ok", "ok", Style::good};
    case ProbeStatus::warning:
      return {"warn", "warning", Style::active};
    case ProbeStatus::failed:
      return {"FAIL", "failed", Style::bad};
    case ProbeStatus::untried:
      return {"-", "untried", Style::dim};
  }
  return {};
}

void print_result(const ProbeResult& result, Colour colour, std::size_t columns) {
  const Word word = word_of(result.finding.status);
  const std::string indented = std::string(k_text_at, ' ') + printable(result.finding.text, 4096);
  const std::string folded = fold(indented, std::max(columns, k_text_at + k_narrowest_text), k_text_at);
  StyledLine first(colour);
  first.add(word.text, word.style).add(std::string(k_status_columns - word.text.size(), ' '));
  first.add(fit_to_width(result.name, k_name_columns));
  std::string text = first.text() + folded.substr(k_text_at) + "\n";
  std::string_view lead = "fix: ";
  for (const std::string& command : result.finding.fix) {
    std::istringstream parts(command);
    for (std::string part; std::getline(parts, part); lead = "     ") {
      text += std::string(k_status_columns, ' ') + std::string(lead) + printable(part, 4096) + "\n";
    }
  }
  print(text);
}

enum class Subject { machine, gpus };

std::string_view verdict_of(Subject subject, bool can) {
  if (subject == Subject::gpus) return can ? "Containers can use the GPUs." : "Containers can use no GPU here.";
  return can ? "mlctr run works here." : "mlctr run does not work here.";
}

void print_results(const std::vector<ProbeResult>& results, Subject subject) {
  const Colour colour = terminal_colour(STDOUT_FILENO);
  const std::size_t columns = ::isatty(STDOUT_FILENO) == 1 ? terminal_size(STDOUT_FILENO).columns : k_columns;
  for (const ProbeResult& result : results) print_result(result, colour, columns);
  StyledLine verdict(colour);
  verdict.add(verdict_of(subject, can_run(results)), Style::bold);
  print(verdict.text() + "\n");
}

nlohmann::ordered_json to_json(const std::vector<ProbeResult>& results) {
  nlohmann::ordered_json probes = nlohmann::ordered_json::array();
  for (const ProbeResult& result : results) {
    probes.push_back({{"name", result.name},
                      {"status", word_of(result.finding.status).json},
                      {"tried", result.tried},
                      {"finding", result.finding.text},
                      {"fix", result.finding.fix}});
  }
  return {{"ok", can_run(results)}, {"probes", probes}};
}

std::vector<ProbeResult> examine_subject(Subject subject) {
  const Configuration configuration = load_configuration();
  if (subject == Subject::machine) return examine_machine(configuration);
  return examine_gpus(hooks::HostView::of_machine(), hook_settings(configuration));
}

int examine(Format format, Subject subject) {
  const std::vector<ProbeResult> results = examine_subject(subject);
  if (format == Format::json)
    print_json(to_json(results));
  else
    print_results(results, subject);
  return can_run(results) ? 0 : k_no_run;
}

}  // namespace

void add_doctor(CLI::App& program, Action& chosen) {
  auto format = std::make_shared<Format>(Format::text);
  auto subject = std::make_shared<Subject>(Subject::machine);
  CLI::App* command = program.add_subcommand("doctor", "Find out whether containers run here, and what would help");
  command->group(k_mlctr_group);
  command->add_flag_callback(
      "--json", [format] { *format = Format::json; }, "An object: ok, probes");
  command->add_flag_callback(
      "--gpu", [subject] { *subject = Subject::gpus; }, "What GPUs in containers need, and nothing else");
  command->footer(
      "Does each thing that a run needs, and in the end a run; says what is in the way and the commands that change "
      "it. With --gpu: whether containers can use this machine's GPUs, and why not more of them.\n"
      "warn: a run works, with what the line says missing or slower. Exit code 0: it works; 1: it does not.\n"
      "--json: ok, and probes with name, status (ok, warning, failed, untried), tried, finding, fix (commands)\n");
  command->final_callback([format, subject, &chosen] {
    chosen = [format, subject] { return examine(*format, *subject); };
  });
}

}  // namespace mlctr::cli
