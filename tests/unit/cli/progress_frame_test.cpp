#include "cli/progress_frame.hpp"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <clocale>

#include "cli/text_width.hpp"

using namespace mlctr::cli;
using Seconds = std::chrono::duration<double>;

namespace {

ItemSnapshot item(std::size_t number, Activity activity) {
  return {.label = fmt::format("{:012x}", number * 0x123456789),
          .activity = activity,
          .total_bytes = 12'340'000'000,
          .downloaded_bytes = 11'110'000'000,
          .converted_bytes = 9'990'000'000,
          .rate = 123e6,
          .time_left = Seconds(3599)};
}

ProgressSnapshot snapshot_of(std::size_t count) {
  constexpr Activity k_activities[]{Activity::waiting,    Activity::waiting_for_other, Activity::downloading,
                                    Activity::converting, Activity::writing,           Activity::done,
                                    Activity::reused};
  ProgressSnapshot snapshot;
  for (std::size_t i = 0; i < count; ++i) snapshot.items.push_back(item(i, k_activities[i % 7]));
  snapshot.layers = count;
  snapshot.layers_done = count / 3;
  snapshot.total = item(0, Activity::downloading);
  return snapshot;
}

std::vector<StyledLine> render(const ProgressSnapshot& snapshot, unsigned columns, unsigned rows,
                               Glyphs glyphs = Glyphs::ascii) {
  return render_frame(snapshot, {.size = {columns, rows}, .glyphs = glyphs});
}

bool has(const std::vector<StyledLine>& lines, std::string_view text) {
  for (const StyledLine& line : lines) {
    if (line.text().find(text) != std::string::npos) return true;
  }
  return false;
}

}  // namespace

TEST_CASE("no frame is ever wider or higher than the terminal") {
  std::setlocale(LC_CTYPE, "C.UTF-8");
  for (const std::size_t layers : {1u, 4u, 21u, 60u, 500u}) {
    const ProgressSnapshot snapshot = snapshot_of(layers);
    for (unsigned columns = 1; columns <= 220; ++columns) {
      for (const unsigned rows : {1u, 2u, 3u, 10u, 24u, 60u}) {
        for (const Glyphs glyphs : {Glyphs::ascii, Glyphs::unicode}) {
          const std::vector<StyledLine> lines = render(snapshot, columns, rows, glyphs);
          CAPTURE(columns);
          CAPTURE(rows);
          REQUIRE(!lines.empty());
          REQUIRE(lines.size() <= std::max(rows, 2u) - 1);
          for (const StyledLine& line : lines) {
            REQUIRE(line.columns() <= std::max(columns, 2u) - 1);
            REQUIRE(line.columns() == display_width(line.text()));
          }
        }
      }
    }
  }
  std::setlocale(LC_CTYPE, "C");
}

TEST_CASE("few layers have a line each, in the image's order") {
  const std::vector<StyledLine> lines = render(snapshot_of(4), 100, 24);
  REQUIRE(lines.size() == 5);
  CHECK(lines[0].text().starts_with("000000000000 waiting"));
  CHECK(lines[1].text().starts_with("000123456789 another mlctr fetches it"));
  CHECK(lines[2].text().starts_with("0002468acf12 downloading"));
  CHECK(lines[4].text().starts_with("total        1/4 done"));
}

TEST_CASE("of many layers all that are at work are shown, and the others counted") {
  ProgressSnapshot snapshot;
  for (std::size_t i = 0; i < 60; ++i) {
    snapshot.items.push_back(item(i, i < 20 ? Activity::done : (i < 24 ? Activity::downloading : Activity::waiting)));
  }
  snapshot.layers = 60;
  snapshot.total = item(0, Activity::downloading);
  const std::vector<StyledLine> lines = render(snapshot, 80, 10);
  CHECK(lines.size() == 9);
  for (std::size_t i = 20; i < 24; ++i) CHECK(has(lines, snapshot.items[i].label));
  CHECK(has(lines, snapshot.items[19].label));  // the latest to be done
  CHECK(!has(lines, snapshot.items[0].label));
  CHECK(has(lines, "17 more done, 36 more waiting"));
}

TEST_CASE("the height stays as layers come and go") {
  ProgressSnapshot snapshot = snapshot_of(60);
  const std::size_t height = render(snapshot, 80, 24).size();
  for (ItemSnapshot& each : snapshot.items) each.activity = Activity::done;
  CHECK(render(snapshot, 80, 24).size() == height);
}

TEST_CASE("a bar shows what is converted, what is here and what is missing, without colours too") {
  ProgressSnapshot snapshot;
  snapshot.items.push_back(item(1, Activity::downloading));
  snapshot.items[0].total_bytes = 100;
  snapshot.items[0].downloaded_bytes = 50;
  snapshot.items[0].converted_bytes = 25;
  const std::string line = render(snapshot, 220, 24)[0].text();
  const auto count = [&](char c) { return std::count(line.begin(), line.end(), c); };
  CHECK(count('=') == 10);
  CHECK(count('-') == 10);
  CHECK(count('.') == 20);
}

TEST_CASE("a narrow terminal gets a percentage for the amounts it has no room for") {
  const ProgressSnapshot snapshot = snapshot_of(3);
  CHECK(render(snapshot, 40, 24)[2].text().ends_with(" 90%"));
  CHECK(render(snapshot, 80, 24)[2].text().ends_with("11.11/12.34 GB  123 MB/s 59m59s"));
}

TEST_CASE("colours come only where they are wanted") {
  const ProgressSnapshot snapshot = snapshot_of(7);
  CHECK(!has(render(snapshot, 80, 24), "\x1b"));
  CHECK(has(render_frame(snapshot, {.size = {80, 24}, .glyphs = Glyphs::ascii, .colour = Colour::on}), "\x1b["));
}

TEST_CASE("a server that does not say how much is coming gets no bar") {
  ProgressSnapshot snapshot;
  snapshot.items.push_back(item(1, Activity::downloading));
  snapshot.items[0].total_bytes = 0;
  CHECK(render(snapshot, 80, 24)[0].text() == "000123456789 downloading  11.1 GB");
}
