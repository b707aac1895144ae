#include "cli/build_display.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/figures.hpp"
#include "cli/terminal.hpp"
#include "cli/text_width.hpp"

namespace mlctr::cli {
namespace {

constexpr std::size_t k_shown_lines = 4;         // of a running step's output
constexpr std::size_t k_kept_bytes = 16u << 20;  // of it, for when the step fails
constexpr std::size_t k_longest_line = 400;

std::vector<std::string> lines_of(std::string_view text) {
  std::vector<std::string> lines;
  while (!text.empty()) {
    std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    if (line.ends_with('\r')) line.remove_suffix(1);
    line.remove_prefix(line.rfind('\r') == line.npos ? 0 : line.rfind('\r') + 1);  // what a progress bar drew over
    lines.push_back("  " + printable(line, k_longest_line * 10));
  }
  return lines;
}

StyledLine fitting(std::string_view text, std::size_t columns) {
  StyledLine line(Colour::off);
  line.add(cut_to_width(text, columns));
  return line;
}

std::string timed(const std::string& label, std::string_view end, std::chrono::steady_clock::duration time) {
  return fmt::format("{}  {}{}", label, end, end == "cached" ? "" : format_duration(time));
}

}  // namespace

BuildProgress parse_build_progress(const std::string& text, Verbosity verbosity) {
  if (verbosity == Verbosity::quiet || text == "quiet") return BuildProgress::quiet;
  if (text == "plain") return BuildProgress::everything;
  if (text == "tty") return BuildProgress::live;
  if (text == "auto") return is_drawable(STDERR_FILENO) ? BuildProgress::live : BuildProgress::lines;
  throw UsageError(fmt::format("--progress {}: unknown", printable(text)), "auto, plain, tty or quiet");
}

void BuildDisplay::started(std::size_t step, const std::string& label) {
  running_[step] = {label, "", std::chrono::steady_clock::now()};
  if (progress_ == BuildProgress::everything) show(label);
}

void BuildDisplay::said(std::size_t step, std::string_view text) {
  Running& running = running_[step];
  running.said += text;
  if (running.said.size() > k_kept_bytes) running.said.erase(0, running.said.size() - k_kept_bytes / 2);
  if (progress_ != BuildProgress::everything) return;
  const std::size_t end = running.said.rfind('\n');
  if (end == std::string::npos) return;
  show(lines_of(std::string_view(running.said).substr(0, end + 1)));
  running.said.erase(0, end + 1);
}

void BuildDisplay::ended(std::size_t step, build::StepEnd end, std::chrono::steady_clock::duration time) {
  const Running running = std::move(running_[step]);
  running_.erase(step);
  switch (end) {
    case build::StepEnd::cached:
      ++cached_;
      return show(timed(running.label, "cached", time));
    case build::StepEnd::built:
      ++built_;
      return show(timed(running.label, "", time));
    case build::StepEnd::failed:
      break;
  }
  std::vector<std::string> all = lines_of(running.said);
  all.insert(all.begin(), timed(running.label, "failed after ", time));
  if (progress_ == BuildProgress::quiet)
    return write_to_terminal(STDERR_FILENO, fmt::format("{}\n", fmt::join(all, "\n")));
  show(all);
}

void BuildDisplay::note(const std::string& text) {
  show(fmt::format("mlctr: warning: {}", printable(text, 4096)));
}

void BuildDisplay::tick() {
  if (progress_ == BuildProgress::live) show(std::vector<std::string>{});
}

void BuildDisplay::show(const std::vector<std::string>& above) {
  if (progress_ == BuildProgress::quiet) return;
  if (progress_ != BuildProgress::live) {
    std::string text;
    for (const std::string& line : above) text += line + "\n";
    return write_to_terminal(STDERR_FILENO, text);
  }
  const auto drawing = drawing_lock();
  write_to_terminal(STDERR_FILENO, screen_.repaint(above, frame(), terminal_size(STDERR_FILENO).columns));
}

std::vector<StyledLine> BuildDisplay::frame() const {
  std::vector<StyledLine> lines;
  const std::size_t columns = terminal_size(STDERR_FILENO).columns - 1;
  const auto now = std::chrono::steady_clock::now();
  for (const auto& [number, running] : running_) {
    lines.push_back(fitting(timed(running.label, "", now - running.since), columns));
    const std::vector<std::string> said =
        lines_of(std::string_view(running.said)
                     .substr(running.said.size() - std::min(running.said.size(), k_shown_lines * k_longest_line)));
    const std::size_t first = said.size() - std::min(said.size(), k_shown_lines);
    for (std::size_t i = first; i < said.size(); ++i) lines.push_back(fitting(said[i], columns));
  }
  return lines;
}

void BuildDisplay::clear() {
  if (progress_ != BuildProgress::live) return;
  const auto drawing = drawing_lock();
  write_to_terminal(STDERR_FILENO, screen_.clear(terminal_size(STDERR_FILENO).columns));
}

}  // namespace mlctr::cli
