#include "cli/progress_display.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>
#include <thread>

#include "base/fd.hpp"

using namespace mlctr;
using namespace mlctr::cli;

namespace {

// What a display writes into a log while `board` has nothing but notes to show, for many times its interval.
std::string log_of(ProgressBoard& board) {
  std::array<int, 2> ends{};
  REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
  const Fd reader(ends[0]);
  {
    const Fd writer(ends[1]);
    const ProgressDisplay display(board, {.action = "pull x",
                                          .fd = writer.get(),
                                          .frame_interval = std::chrono::milliseconds(1),
                                          .line_interval = std::chrono::milliseconds(2)});
    std::this_thread::sleep_for(std::chrono::milliseconds(200));
  }
  std::string text(65536, '\0');
  text.resize(static_cast<std::size_t>(std::max<ssize_t>(::read(reader.get(), text.data(), text.size()), 0)));
  return text;
}

}  // namespace

TEST_CASE("a log says once that the image is looked up") {
  ProgressBoard board;
  CHECK(log_of(board) == "pull x: looking up the image\n");
}

TEST_CASE("a log says once what a pull waits for, and no other reason") {
  ProgressBoard board;
  board.note("waiting: process 7 on node1 is pulling this image");
  CHECK(log_of(board) == "pull x: waiting: process 7 on node1 is pulling this image\n");
}
