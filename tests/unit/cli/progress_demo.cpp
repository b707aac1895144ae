// A pull without a registry: fake layers move on a ProgressBoard, shown as `mlctr pull` shows real ones. For looking at
// the display in a terminal, and for tests/integration/cli_test.sh.
//   progress_demo LAYERS SECONDS [quiet]

#include <fmt/format.h>

#include <algorithm>
#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <string_view>
#include <thread>

#include "base/progress.hpp"
#include "cli/progress_display.hpp"
#include "cli/signals.hpp"

namespace {

using mlctr::Phase;
using mlctr::ProgressItem;

constexpr std::chrono::milliseconds k_step{50};
constexpr std::size_t k_parallel = 4;

// Of ten layers one is there already and one is fetched by someone else.
void set_up(mlctr::ProgressBoard& board, std::size_t layers) {
  for (std::size_t i = 0; i < layers; ++i) {
    const auto item =
        board.add(fmt::format("{:012x}", (i + 1) * 0x9e3779b97f5ull & 0xffffffffffff), 5'000'000 + i % 7 * 40'000'000);
    if (i % 10 == 3) item->phase = Phase::cached;
    if (i % 10 == 6) item->phase = Phase::waiting_for_other;
  }
}

void move_on(ProgressItem& item, std::uint64_t bytes) {
  item.phase = Phase::downloading;
  item.downloaded_bytes = std::min(item.total_bytes(), item.downloaded_bytes + bytes);
  item.converted_bytes = std::min<std::uint64_t>(item.downloaded_bytes, item.converted_bytes + bytes * 4 / 5);
  if (item.converted_bytes == item.total_bytes()) item.phase = Phase::done;
}

void pull(mlctr::ProgressBoard& board, std::size_t layers, double seconds, std::stop_token stop) {
  std::this_thread::sleep_for(k_step * 5);
  set_up(board, layers);
  std::uint64_t all_bytes = 1;
  for (const auto& item : board.items()) all_bytes += item->total_bytes();
  const auto bytes_a_step = static_cast<std::uint64_t>(static_cast<double>(all_bytes) / seconds * 0.05);
  for (int step = 0;; ++step) {
    if (stop.stop_requested()) throw mlctr::Cancelled();
    if (step == 20) board.note("layer 0f1e2d3c4b5a: HTTP 429; trying again in 2 s");
    std::size_t moved = 0;
    for (const auto& item : board.items()) {
      const Phase phase = item->phase;
      if (phase == Phase::done || phase == Phase::cached || moved == k_parallel) continue;
      move_on(*item, bytes_a_step / k_parallel + 1);
      ++moved;
    }
    if (moved == 0) return;
    std::this_thread::sleep_for(k_step);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) return 2;
  std::setlocale(LC_CTYPE, "");
  const auto verbosity = argc > 3 ? mlctr::cli::Verbosity::quiet : mlctr::cli::Verbosity::normal;
  try {
    mlctr::cli::run_stoppable(
        [&](std::stop_token stop) {
          mlctr::ProgressBoard board;
          const mlctr::cli::ProgressDisplay display(
              board, {.action = "pull demo:1.0", .verbosity = verbosity, .line_interval = std::chrono::seconds(1)});
          pull(board, std::strtoul(argv[1], nullptr, 10), std::strtod(argv[2], nullptr), stop);
        },
        "the next pull goes on from here");
    std::fprintf(stderr, "demo:1.0 is ready\n");
    return 0;
  } catch (const mlctr::cli::StoppedBySignal& stopped) {
    std::fprintf(stderr, "stopped; %s\n", stopped.hint().c_str());
    mlctr::cli::die_of_signal(stopped.signal_number());
  }
}
