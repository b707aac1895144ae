#include "app/place_probes.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <functional>

#include "app/overlay_exercise.hpp"
#include "app/run_target.hpp"
#include "app/runtime_directory.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/filesystem_type.hpp"
#include "base/leftovers.hpp"
#include "runtime/container_rootfs.hpp"
#include "runtime/forked.hpp"
#include "runtime/overlay.hpp"
#include "store/lock_kind.hpp"
#include "store/remove_tree.hpp"
#include "store/store_root.hpp"

namespace mlctr {
namespace {

constexpr std::uint64_t k_little_bytes = 10'000'000'000;  // images for ML have 3 to 20 GB
constexpr std::chrono::seconds k_place_patience{5};
constexpr const char* k_place = "/";  // covered in this process's own view alone

// A directory below the nearest existing one, removed with all that is in it: a killed doctor's by the next, or in the
// containers' place by `mlctr gc`, which its name is for.
class ProbeDirectory {
 public:
  explicit ProbeDirectory(const std::filesystem::path& place) {
    const std::filesystem::path parent = nearest_existing(place);
    for (const auto& leftover : find_leftovers(parent, k_prefix)) remove_if_possible(leftover);
    path_ = parent / leftover_name(k_prefix);
    if (::mkdir(path_.c_str(), 0700) != 0) throw SysError("cannot make a directory in " + parent.string());
    held_ = Fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    hold_leftover(held_.get());
  }
  ~ProbeDirectory() { remove_if_possible(path_); }
  ProbeDirectory(const ProbeDirectory&) = delete;
  ProbeDirectory& operator=(const ProbeDirectory&) = delete;
  const std::filesystem::path& path() const noexcept { return path_; }

 private:
  static constexpr const char* k_prefix = ".new-doctor-";

  static void remove_if_possible(const std::filesystem::path& directory) {
    try {
      remove_tree(directory);
    } catch (const Error&) {
      // What the probe finds out matters more.
    }
  }

  std::filesystem::path path_;
  Fd held_;
};

std::string filesystem_of(const std::filesystem::path& place) {
  const std::string type = filesystem_type(nearest_existing(place));
  return type.empty() ? "an unknown filesystem" : type;
}

std::string describe_place(const std::filesystem::path& place) {
  return fmt::format("{} on {}, {:.1f} GB free", place.string(), filesystem_of(place),
                     static_cast<double>(free_bytes(nearest_existing(place))) / 1e9);
}

// What sites call a place for large files of a user's, then what every system has.
std::vector<std::filesystem::path> likely_places() {
  std::vector<std::filesystem::path> places;
  for (const char* variable : {"SCRATCH", "WORK", "TMPDIR"}) {
    if (const char* value = std::getenv(variable); value != nullptr && *value == '/') places.emplace_back(value);
  }
  for (const char* place : {"/scratch", "/local", "/var/tmp", "/tmp"}) places.emplace_back(place);
  return places;
}

// As `MLCTR_…=` takes it: the first place where `work` throws nothing.
template <class Work>
std::vector<std::string> suggest(const char* variable, const char* directory, Work work) {
  for (const auto& place : likely_places()) {
    try {
      const auto chosen = place / fmt::format("mlctr-{}", ::geteuid()) / directory;
      work(chosen);
      return {fmt::format("export {}={}", variable, chosen.string())};
    } catch (const Error&) {
      continue;
    }
  }
  return {};
}

void write_to(const std::filesystem::path& place) {
  const ProbeDirectory directory(place);
  write_file_atomically(directory.path() / "file", std::string(4096, 'x'));
}

// What throws in a child of its own, in a user namespace. Not in ours: what was made outside must be removed outside,
// as root mapped to one id may not write to another user's directory.
void in_namespaces(const std::function<void()>& work) {
  const auto enter = [&](const runtime::Say& say) {
    try {
      runtime::enter_new_namespaces(runtime::current_identity(runtime::Remap::none), CLONE_NEWNS);
      work();
    } catch (const std::exception& error) {
      say(error.what());
    }
  };
  const auto result = runtime::run_forked(enter, k_place_patience);
  if (!result.said.empty()) throw Error(result.said);
  if (!result.end) throw Error(fmt::format("no answer within {} s", k_place_patience.count()));
}

void keep_changes_in(const std::filesystem::path& place) {
  const ProbeDirectory directory(place);
  for (const char* name : {"upper", "work"}) {
    if (::mkdir((directory.path() / name).c_str(), 0755) != 0)
      throw SysError("cannot make " + directory.path().string());
  }
  in_namespaces(
      [&] { exercise_overlay(runtime::make_scratch(k_place), directory.path() / "upper", directory.path() / "work"); });
}

bool has_overlays() {
  try {
    in_namespaces([] { runtime::mount_empty_overlay(runtime::make_scratch(k_place)); });
    return true;
  } catch (const Error&) {
    return false;
  }
}

std::vector<std::string> suggest_store() {
  return suggest("MLCTR_STORE", "store", [](const std::filesystem::path& place) {
    write_to(place);
    if (free_bytes(nearest_existing(place)) < k_little_bytes) throw Error("too small");
  });
}

// On the node itself, and not there yet: what is may be another user's.
std::vector<std::string> suggest_runtime_directory() {
  for (const std::filesystem::path place : {"/tmp", "/dev/shm", "/var/tmp"}) {
    const auto chosen = place / fmt::format("mlctr-run-{}", ::geteuid());
    struct stat status {};
    if (::lstat(chosen.c_str(), &status) != 0 && ::access(place.c_str(), W_OK | X_OK) == 0) {
      return {"export MLCTR_RUNTIME_DIR=" + chosen.string()};
    }
  }
  return {};
}

Finding refused_store(const Error& error, std::vector<std::string> fix) {
  return warning(error.message() + "; images in it can be run, none can be pulled", std::move(fix));
}

}  // namespace

Finding probe_runtime_directory() {
  try {
    const RuntimeDirectory directory = open_runtime_directory();
    auto socket = try_take_socket(directory, unnamed_socket_name(fmt::format("doctor.{}", ::getpid())));
    if (socket) socket->remove();
    return fine(describe_place(directory.sockets.parent_path()));
  } catch (const Error& error) {
    return failure(error.message(), suggest_runtime_directory());
  }
}

Finding probe_store(const Configuration& configuration) {
  const auto& store = configuration.store;
  if (store.empty()) return warning("there is none: neither MLCTR_STORE nor HOME is set", suggest_store());
  struct stat status {};
  const bool exists = ::stat(store.c_str(), &status) == 0;
  try {
    if (exists) check_store_is_private(store);
  } catch (const Error& error) {
    return refused_store(error, {fmt::format("chmod o-w {}", store.string())});
  }
  try {
    if (exists) check_store_is_writable(store);
    write_to(store);
  } catch (const Error& error) {
    return refused_store(error, suggest_store());
  }
  std::string text = describe_place(store);
  if (choose_lock_kind(nearest_existing(store)) == LockKind::lease)
    text += ", locked by leases as its own locks are one node's";
  if (free_bytes(nearest_existing(store)) < k_little_bytes) {
    auto fix = suggest_store();
    fix.insert(fix.begin(), "mlctr gc");
    return warning(text + ": an image for ML takes 3 to 20 GB", fix);
  }
  return fine(text);
}

Finding probe_containers(const Configuration& configuration) {
  const std::filesystem::path root = open_containers(configuration).root();
  try {
    if (!has_overlays()) {
      write_to(root);
      return fine(describe_place(root) + ", without the kernel's overlays");
    }
    keep_changes_in(root);
  } catch (const Error& error) {
    return warning(fmt::format("named containers can't be kept in {}, on {}: {}", root.string(), filesystem_of(root),
                               error.message()),
                   suggest("MLCTR_CONTAINERS", "containers", keep_changes_in));
  }
  return fine(describe_place(root));
}

}  // namespace mlctr
