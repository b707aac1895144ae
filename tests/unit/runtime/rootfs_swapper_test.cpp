// A rootfs that a process of the user's changes while targets are made in it: directories and what was just made become
// links out of it, and back.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "base/file.hpp"
#include "runtime/apply_mounts.hpp"
#include "runtime/driver_loader.hpp"
#include "runtime/rootfs.hpp"
#include "temporary_directory.hpp"

using namespace mlctr;
using namespace mlctr::runtime;

namespace {

constexpr int k_rounds = 400;
constexpr const char* k_directories[] = {"etc", "etc/ld.so.conf.d", "usr", "usr/bin", "usr/lib", "dev"};
// Each is made anew in every round; beside each lies a link to take its place.
constexpr std::pair<const char*, const char*> k_made[] = {
    {"etc", "file"}, {"etc", "directory"}, {"usr/bin", "file"}, {"usr/lib", "link"}, {"dev", "node"}};

std::string beside(const std::filesystem::path& path) {
  return path.string() + ".link";
}

// A name in a directory that stays the same wherever it is moved.
struct Place {
  Fd directory;
  std::string name;
};

void exchange(const Place& place) {
  ::renameat2(place.directory.get(), place.name.c_str(), place.directory.get(), beside(place.name).c_str(),
              RENAME_EXCHANGE);
}

struct HostileRootfs {
  test::TemporaryDirectory directory;
  std::filesystem::path root = directory.path() / "root", victim = directory.path() / "victim";
  std::vector<Place> directories, made;

  HostileRootfs() {
    directory.write("victim/secret", "secret");
    ::chmod((victim / "secret").c_str(), 0600);
    ::chmod(victim.c_str(), 0700);
    for (const std::filesystem::path path : k_directories) {
      std::filesystem::create_directories(root / path);
      std::filesystem::create_directory_symlink(victim, beside(root / path));
      directories.push_back({open_file((root / path).parent_path(), O_PATH | O_DIRECTORY), path.filename()});
    }
    for (const auto& [parent, name] : k_made) made.push_back({open_file(root / parent, O_PATH | O_DIRECTORY), name});
  }

  void make_room() const {
    for (const Place& place : made) {
      for (const std::string& name : {place.name, beside(place.name)}) {
        ::unlinkat(place.directory.get(), name.c_str(), 0);
        ::unlinkat(place.directory.get(), name.c_str(), AT_REMOVEDIR);
      }
      [[maybe_unused]] const int made_link =
          ::symlinkat((victim / "secret").c_str(), place.directory.get(), beside(place.name).c_str());
    }
  }

  bool is_victim_whole() const {
    const auto mode = [](const std::filesystem::path& path) {
      struct stat status {};
      return ::lstat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
    };
    const auto names = std::distance(std::filesystem::directory_iterator(victim), {});
    return names == 1 && read_file(victim / "secret") == "secret" && mode(victim / "secret") == 0600 &&
           mode(victim) == 0700;
  }
};

class Swapper {
 public:
  explicit Swapper(const HostileRootfs& rootfs) : rootfs_(rootfs), thread_([this] { run(); }) {}
  ~Swapper() {
    is_over_ = true;
    thread_.join();
  }
  Swapper(const Swapper&) = delete;
  Swapper& operator=(const Swapper&) = delete;

 private:
  void run() const {
    while (!is_over_) {
      for (const Place& place : rootfs_.directories) exchange(place);
      for (const Place& place : rootfs_.made) exchange(place);
    }
  }

  const HostileRootfs& rootfs_;
  std::atomic<bool> is_over_ = false;
  std::thread thread_;
};

void attempt(const auto& action) {
  try {
    action();
  } catch (const Error&) {
    // It found something else there than a moment before: refused.
  }
}

}  // namespace

TEST_CASE("whoever changes a rootfs while targets are made in it changes nothing outside") {
  const HostileRootfs hostile;
  const LoaderEdits loader{
      {{"libcuda.so.1", "/run/mlctr/driver/lib64/libcuda.so.1", LoaderArchitecture::x86_64, "nvidia"}}, {}};
  int made = 0;
  {
    const Swapper swapper(hostile);
    for (int round = 0; round < k_rounds; ++round) {
      hostile.make_room();
      Rootfs rootfs(open_file(hostile.root, O_PATH | O_DIRECTORY));
      attempt([&] { rootfs.make("/etc/file", NodeKind::file), ++made; });
      attempt([&] { rootfs.make("/usr/bin/file", NodeKind::file); });
      attempt([&] { rootfs.make("/dev/node", NodeKind::file); });
      attempt([&] { rootfs.make(fmt::format("/usr/share/{}/deep/er", round), NodeKind::directory); });
      attempt([&] {
        apply_mounts(open_mounts({{.source = DirectoryNode{.mode = 0755}, .target = "/etc/directory"},
                                  {.source = LinkNode{"libcuda.so.1"}, .target = "/usr/lib/link"}},
                                 {}),
                     rootfs, -1);
      });
      attempt([&] { show_to_loader(loader, rootfs, {.change = CacheChange::replace}, {}, {}); });
      if (!hostile.is_victim_whole()) break;
    }
  }
  CHECK(hostile.is_victim_whole());
  CHECK(made > 0);
}
