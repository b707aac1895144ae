#include "runtime/labelled_output.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <functional>

#include "base/file.hpp"

using namespace mlctr;
using runtime::LabelledOutput;

namespace {

void say(const LabelledOutput& output, std::string_view text) {
  write_all(output.write_end(), std::as_bytes(std::span(text)), "the pipe");
}

// What `work` makes of this process's standard error.
std::string heard(const std::function<void(LabelledOutput&)>& work) {
  const Fd ours(::dup(STDERR_FILENO));
  const Fd file(::memfd_create("heard", MFD_CLOEXEC));
  REQUIRE(::dup2(file.get(), STDERR_FILENO) == STDERR_FILENO);
  {
    LabelledOutput output("hook");
    work(output);
  }
  ::dup2(ours.get(), STDERR_FILENO);
  std::string text(file_size(file.get(), "heard"), '\0');
  read_at(file.get(), std::as_writable_bytes(std::span(text)), 0, "heard");
  return text;
}

}  // namespace

TEST_CASE("each line gets the label, in whatever pieces it comes") {
  CHECK(heard([](LabelledOutput& output) {
          say(output, "one\ntw");
          CHECK(output.take());
          CHECK_FALSE(output.take());
          say(output, "o\n\nthree");
        }) == "hook: one\nhook: two\nhook: \nhook: three\n");
  CHECK(heard([](LabelledOutput&) {}).empty());
}

TEST_CASE("the program's end is seen") {
  heard([](LabelledOutput& output) {
    output.close_write_end();
    CHECK_FALSE(output.take());
    CHECK(output.read_end() == -1);
  });
}

TEST_CASE("nothing of it controls the terminal, and a line without an end is not kept") {
  CHECK(heard([](LabelledOutput& output) { say(output, "a\x1b[2Jb\n"); }) == "hook: a\\x1b[2Jb\n");
  const std::string lines = heard([](LabelledOutput& output) {
    for (int i = 0; i < 10; ++i) {
      say(output, std::string(4096, 'x'));
      output.take();
    }
  });
  CHECK(std::ranges::count(lines, 'x') == 40960);
  CHECK(std::ranges::count(lines, '\n') > 2);
}
