#include "app/trial_run.hpp"

#include <doctest/doctest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.hpp"
#include "runtime/forked.hpp"
#include "squashfs/file_content.hpp"
#include "squashfs/reader.hpp"
#include "squashfs/tables.hpp"

using namespace mlctr;

namespace {

std::string bytes_of(const Fd& file) {
  std::string bytes(file_size(file.get(), "trial"), '\0');
  read_at(file.get(), std::as_writable_bytes(std::span(bytes)), 0, "trial");
  return bytes;
}

}  // namespace

TEST_CASE("the trial image has one program, which says that it ran") {
  const Fd image = make_trial_image();
  REQUIRE(image);
  const squashfs::Reader reader(image.get(), "trial");
  const auto program = squashfs::read_small_file(reader, "/trial", 4096);
  REQUIRE(program);
  const squashfs::Tree tree = squashfs::read_tree(reader);
  CHECK(tree.directory(squashfs::k_root).children.size() == 1);

  const auto result = runtime::run_forked(
      [&](const runtime::Say&) {
        const Fd file(::memfd_create("program", MFD_CLOEXEC));
        write_all_at(file.get(), std::as_bytes(std::span(*program)), 0, "program");
        char name[] = "trial";
        char* arguments[] = {name, nullptr};
        char* environment[] = {nullptr};
        ::fexecve(file.get(), arguments, environment);
      },
      std::chrono::seconds(60));
  REQUIRE(result.end);
  CHECK(std::get<runtime::Exited>(*result.end).code == k_trial_exit_code);
}

TEST_CASE("the trial image is the same every time") {
  CHECK(bytes_of(make_trial_image()) == bytes_of(make_trial_image()));
}
