// Mounts a squashfs image with mlctr's server until it is unmounted: what the tests and benchmarks of the image mount
// look at. Needs CAP_SYS_ADMIN and /dev/fuse. Usage: image_server_demo IMAGE MOUNTPOINT [OFFSET]
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "base/error.hpp"
#include "runtime/image_server.hpp"

namespace {

using namespace mlctr;

void serve(const std::string& path, const std::string& mountpoint, std::uint64_t offset) {
  const Fd file = open_file(path, O_RDONLY);
  const squashfs::Reader image(file.get(), path, offset);
  Fd fuse = open_file("/dev/fuse", O_RDWR);
  const std::string options =
      fmt::format("fd={},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other", fuse.get());
  if (::mount("mlctr", mountpoint.c_str(), "fuse.mlctr", MS_NODEV | MS_NOSUID | MS_RDONLY, options.c_str()) != 0) {
    throw SysError(fmt::format("cannot mount {} on {}", path, mountpoint));
  }
  runtime::serve_image(std::move(fuse), image, {.owner = {}});
}

}  // namespace

int main(int count, char** arguments) try {
  if (count < 3) throw UsageError("usage: image_server_demo IMAGE MOUNTPOINT [OFFSET]");
  serve(arguments[1], arguments[2], count > 3 ? std::stoull(arguments[3]) : 0);
  return EXIT_SUCCESS;
} catch (const std::exception& error) {
  fmt::print(stderr, "image_server_demo: {}\n", error.what());
  return EXIT_FAILURE;
}
