#include "squashfs/image_path.hpp"

#include "sample_image.hpp"
#include "temporary_directory.hpp"

namespace mlctr::squashfs {
namespace {

using test::add_at;
using test::SampleImage;

class Fixture {
  test::TemporaryDirectory directory_;

 public:
  SampleImage image{directory_ / "image.sqsh"};

  unsigned names_left = 1000;

  // The path found, or "" where there is no file.
  std::string find(std::string_view path) {
    if (!is_finished_) image.finish();
    is_finished_ = true;
    const Fd file = open_file(directory_ / "image.sqsh", O_RDONLY);
    const Reader reader(file.get(), "image.sqsh");
    const auto found = find_file(reader, path, names_left);
    if (found) CHECK(std::holds_alternative<StoredFile>(reader.inode(found->inode).kind));
    return found ? found->path : "";
  }

 private:
  bool is_finished_ = false;
};

TEST_CASE_FIXTURE(Fixture, "Symlinks are followed as in the container, and nothing leads out of the image") {
  image.add_file("usr/bin/python3.11", "program");
  add_at(image.tree, "usr/bin/python", {.kind = Symlink{"python3.11"}});
  add_at(image.tree, "bin", {.kind = Symlink{"usr/bin"}});
  add_at(image.tree, "absolute", {.kind = Symlink{"/bin/python"}});
  add_at(image.tree, "usr/up", {.kind = Symlink{"../../../../bin/./python"}});
  for (const char* path : {"/usr/bin/python3.11", "/bin/python", "/absolute", "/usr/up", "//bin/../bin//python",
                           "/../../bin/python", "usr/bin/python"}) {
    CAPTURE(path);
    CHECK(find(path) == "/usr/bin/python3.11");
  }
}

TEST_CASE_FIXTURE(Fixture, "What is no regular file, or leads to none, is not found") {
  image.add_file("file", "x");
  add_at(image.tree, "directory", {.kind = Directory{}});
  add_at(image.tree, "fifo", {.kind = Fifo{}});
  add_at(image.tree, "dangling", {.kind = Symlink{"nowhere"}});
  add_at(image.tree, "a", {.kind = Symlink{"b"}});
  add_at(image.tree, "b", {.kind = Symlink{"/a"}});
  for (const char* path :
       {"", "/", "/directory", "/fifo", "/dangling", "/a", "/file/", "/file/below", "/missing", "/missing/below"}) {
    CAPTURE(path);
    CHECK(find(path) == (std::string_view(path) == "/file/" ? "/file" : ""));
  }
}

TEST_CASE_FIXTURE(Fixture, "Long paths and many names are given up, whatever the links make of them") {
  std::string detour;
  for (int part = 0; part < 500; ++part) detour += "d/../";
  add_at(image.tree, "d", {.kind = Directory{}});
  image.add_file("file", "x");
  add_at(image.tree, "s0", {.kind = Symlink{detour + "file"}});
  add_at(image.tree, "s1", {.kind = Symlink{detour + "s0"}});
  add_at(image.tree, "long", {.kind = Symlink{detour + detour + "file"}});
  names_left = 3000;
  CHECK(find("/s0") == "/file");
  CHECK(names_left < 2000);
  CHECK(find("/long").empty());
  names_left = 1500;
  CHECK(find("/s1").empty());
  CHECK(names_left == 0);
}

}  // namespace
}  // namespace mlctr::squashfs
