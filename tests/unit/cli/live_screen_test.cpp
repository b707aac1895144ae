#include "cli/live_screen.hpp"

#include <doctest/doctest.h>

using namespace mlctr::cli;

namespace {

std::vector<StyledLine> lines(std::initializer_list<std::size_t> widths) {
  std::vector<StyledLine> made;
  for (const std::size_t width : widths) {
    made.emplace_back(Colour::off);
    made.back().add(std::string(width, 'x'));
  }
  return made;
}

bool goes_up(const std::string& bytes, int rows) {
  return bytes.starts_with("\r\x1b[" + std::to_string(rows) + "A");
}

}  // namespace

TEST_CASE("a frame is drawn where the one before began") {
  LiveScreen screen(NarrowLines::rewrapped);
  const std::string first = screen.repaint({}, lines({10, 20, 30}), 80);
  CHECK(first.starts_with("\rxxxxxxxxxx\x1b[K\n"));
  CHECK(first.ends_with("\x1b[J\r"));
  CHECK(goes_up(screen.repaint({}, lines({10}), 80), 2));
  CHECK(screen.repaint({}, lines({10}), 80).starts_with("\rx"));
}

TEST_CASE("notes go above the frame, and nothing of it stays below them") {
  LiveScreen screen(NarrowLines::rewrapped);
  screen.repaint({}, lines({10, 10}), 80);
  CHECK(screen.repaint({"a note"}, lines({3}), 80) == "\r\x1b[1A\x1b[Ja note\nxxx\x1b[K\x1b[J\r");
}

TEST_CASE("after a terminal got narrower, wrapped lines are counted as the rows they take") {
  LiveScreen screen(NarrowLines::rewrapped);
  screen.repaint({}, lines({79, 40, 79}), 80);
  // 79 columns are two rows of 40, 40 are one; the cursor stands in the first row of the last line.
  CHECK(goes_up(screen.repaint({}, lines({39}), 40), 3));
}

TEST_CASE("a terminal that cuts lines keeps their number") {
  LiveScreen screen(NarrowLines::cut);
  screen.repaint({}, lines({79, 40, 79}), 80);
  CHECK(goes_up(screen.repaint({}, lines({39}), 40), 2));
}

TEST_CASE("clearing leaves the cursor where the frame began, and the next frame begins there") {
  LiveScreen screen(NarrowLines::rewrapped);
  screen.repaint({}, lines({10, 10, 10}), 80);
  CHECK(screen.clear(80) == "\r\x1b[2A\x1b[J");
  CHECK(screen.clear(80) == "\r\x1b[J");
  CHECK(screen.repaint({}, lines({5}), 80).starts_with("\rxxxxx"));
}
