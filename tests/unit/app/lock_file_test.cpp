#include "app/lock_file.hpp"

#include <doctest/doctest.h>

#include "tests/unit/thrown.hpp"

using namespace mlctr;
using mlctr::test::contains;
using mlctr::test::thrown_by;

namespace {

LockedImage image(std::string reference) {
  return {.reference = std::move(reference),
          .platform = Platform::parse("amd64"),
          .index = Digest::of("index"),
          .manifest = Digest::of("manifest"),
          .squashfs = Digest::of("squashfs"),
          .layers = {Digest::of("layer")},
          .packages = {{"deb", "libc6", "2.36", "glibc"}, {"python", "a \"b\"\n", "1"}}};
}

}  // namespace

TEST_CASE("a lock reads back as it was written, and its images are sorted") {
  const LockFile lock{"l", {image("localhost/b:1"), image("localhost/a:1")}};
  const std::string text = to_text(lock);
  const LockFile again = parse_lock_file(text, "l");
  REQUIRE(again.images.size() == 2);
  CHECK(again.images[0].reference == "localhost/a:1");
  CHECK(again.images[0].index == Digest::of("index"));
  CHECK(again.images[0].layers == std::vector<Digest>{Digest::of("layer")});
  CHECK(again.images[0].packages[0] == packages::Package{"deb", "libc6", "2.36", "glibc"});
  CHECK(again.images[0].packages[1].name == "a \"b\"\\n");
  CHECK(to_text(LockFile{"l", {image("localhost/a:1"), image("localhost/b:1")}}) == text);
  CHECK(contains(text, "  {deb = \"libc6\", version = \"2.36\", origin = \"glibc\"},\n"));
}

TEST_CASE("drift is told by digest and by package") {
  const LockFile lock{"mlctr.lock", {image("localhost/a:1")}};
  const LockedImage& locked = locked_image(lock, "localhost/a:1", Platform::parse("amd64"));
  CHECK_NOTHROW(check_not_moved(lock, locked, Digest::of("index")));
  CHECK_NOTHROW(check_not_moved(lock, locked, Digest::of("manifest")));
  const auto moved = thrown_by([&] { check_not_moved(lock, locked, Digest::of("other")); });
  CHECK(contains(moved.message,
                 "locked " + Digest::of("index").to_string() + ", now " + Digest::of("other").to_string()));
  CHECK(contains(moved.hint, "mlctr pull localhost/a:1@" + Digest::of("manifest").to_string()));
  const auto changed = thrown_by([&] {
    check_same_image(lock, locked, Digest::of("x"), {{"deb", "libc6", "2.37"}, {"deb", "new", "1"}});
  });
  CHECK(contains(changed.message, "; packages: libc6 2.36 -> 2.37, new 1 came, a"));
  CHECK(contains(thrown_by([&] { locked_image(lock, "localhost/a:1", Platform::parse("arm64")); }).message,
                 "has no localhost/a:1 for linux/arm64"));
}

TEST_CASE("a lock that is none is refused") {
  for (const char* text : {"", "version = 2", "version = 1\nimage = [1]", "version = 1\n[[image]]\n",
                           "version = 1\n[[image]]\nreference = \"a\"\nplatform = \"amd64\"\nmanifest = \"sha256:1\"\n",
                           "version = 1\n[[image"}) {
    CAPTURE(text);
    CHECK(contains(thrown_by([&] { parse_lock_file(text, "l"); }).message, "cannot read l: "));
  }
}
