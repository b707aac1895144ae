#include "build/step_mounts.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "build/step_key.hpp"
#include "runtime/mount_tree.hpp"
#include "runtime/overlay.hpp"
#include "runtime/rootfs.hpp"

namespace mlctr::build {
namespace {

using containerfile::BindMount;
using containerfile::CacheMount;
using containerfile::CacheSharing;
using containerfile::MountAccess;
using containerfile::SecretMount;
using runtime::MountOrigin;
using runtime::NodeKind;

constexpr std::uint64_t k_max_variable_bytes = 128u << 10;  // what execve(2) takes
constexpr std::uint64_t k_quiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr int k_most_private_caches = 1000;

void make_directory(const std::filesystem::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST) return;
    throw SysError("cannot make " + path.string());
  }
  if (::chmod(path.c_str(), mode) != 0) throw SysError("cannot set the mode of " + path.string());
}

std::uint64_t attributes_of(MountAccess access) {
  return k_quiet | (access == MountAccess::read_only ? MOUNT_ATTR_RDONLY : 0);
}

NodeKind kind_of(const Fd& node) {
  struct stat status {};
  if (::fstat(node.get(), &status) != 0) throw SysError("cannot look at a mount's source");
  return S_ISDIR(status.st_mode) ? NodeKind::directory : NodeKind::file;
}

// "<caches>/<key of the id>[-N]/{in_use,files}"; locked as its sharing says.
struct OpenCache {
  std::filesystem::path files;
  Fd in_use;
};

OpenCache open_cache(const std::filesystem::path& directory, mode_t mode, int lock) {
  make_directory(directory, 0700);
  OpenCache cache{directory / "files", open_file(directory / "in_use", O_RDWR | O_CREAT, 0600)};
  while (::flock(cache.in_use.get(), lock) != 0) {
    if (errno == EWOULDBLOCK) return {};
    if (errno != EINTR) throw SysError("cannot lock " + directory.string());
  }
  ::futimens(cache.in_use.get(), nullptr);  // when it was used last
  make_directory(cache.files, mode);
  return cache;
}

OpenCache find_cache(const CacheMount& cache, const std::filesystem::path& caches) {
  const mode_t mode = cache.mode.value_or(0755);
  const std::string name = StepKey("cache 1").add(cache.id).finish().hex();
  switch (cache.sharing) {
    case CacheSharing::shared:
      return open_cache(caches / name, mode, LOCK_SH);
    case CacheSharing::locked:
      return open_cache(caches / (name + "-locked"), mode, LOCK_EX);
    case CacheSharing::privately:
      break;
  }
  for (int number = 0; number < k_most_private_caches; ++number) {
    OpenCache found = open_cache(caches / fmt::format("{}-{}", name, number), mode, LOCK_EX | LOCK_NB);
    if (found.in_use) return found;
  }
  throw Error(fmt::format("the cache {} is in use {} times", printable(cache.id), k_most_private_caches));
}

// By the kernel: what it has is not to be found in our memory.
void copy_file(const Fd& from, const Fd& to, const std::string& name) {
  off_t at = 0;
  for (;;) {
    const ssize_t copied = ::sendfile(to.get(), from.get(), &at, 1u << 20);
    if (copied == 0) return;
    if (copied < 0 && errno != EINTR) throw SysError(fmt::format("cannot copy the secret {}", printable(name)));
  }
}

std::string in_proc(const Fd& fd) {
  return fmt::format("/proc/self/fd/{}", fd.get());
}

runtime::Rootfs container_root() {
  return runtime::Rootfs(open_file("/", O_PATH | O_DIRECTORY));
}

}  // namespace

StepMounts::StepMounts(const RunStep& step, const BuildPlaces& places, const std::filesystem::path& directory)
    : step_(step), places_(places), directory_(directory) {
  for (std::size_t number = 0; number < step.mounts.size(); ++number) {
    std::visit([&](const auto& mount) { plan(mount, number); }, step.mounts[number]);
  }
}

std::string StepMounts::absolute(const std::string& target) const {
  const std::filesystem::path path = std::filesystem::path(step_.directory) / target;
  std::string text = path.lexically_normal().string();
  while (text.size() > 1 && text.ends_with('/')) text.pop_back();
  if (text == "/") throw Error("cannot mount over the root of a step", "give the mount a target of its own");
  return text;
}

std::vector<std::string> StepMounts::targets() const {
  std::vector<std::string> targets;
  for (const auto& mount : step_.mounts) {
    const std::string target = std::visit([](const auto& value) { return value.target; }, mount);
    if (!target.empty()) targets.push_back(absolute(target));
  }
  return targets;
}

void StepMounts::plan(const BindMount& bind, std::size_t number) {
  if (step_.mount_sources[number]) return;  // from inside
  const std::filesystem::path copy = directory_ / fmt::format("bind-{}", number);
  make_directory(copy, 0755);
  const CopyJob job{.sources = {bind.source.empty() ? "." : bind.source}, .destination = "/files"};
  run_copy(job, places_.context, open_file(copy, O_PATH | O_DIRECTORY));
  mounts_.push_back({.source = runtime::BindMount{copy / "files"},
                     .target = absolute(bind.target),
                     .attributes = attributes_of(bind.access)});
}

void StepMounts::plan(const CacheMount& cache, std::size_t) {
  OpenCache found = find_cache(cache, places_.caches);
  in_use_.push_back(std::move(found.in_use));
  mounts_.push_back({.source = runtime::BindMount{found.files},
                     .target = absolute(cache.target),
                     .attributes = attributes_of(cache.access)});
}

void StepMounts::plan(const containerfile::TmpfsMount& tmpfs, std::size_t) {
  mounts_.push_back({.source = runtime::TmpfsMount{.mode = 0755, .size_bytes = tmpfs.size_bytes},
                     .target = absolute(tmpfs.target),
                     .attributes = k_quiet});
}

void StepMounts::plan(const SecretMount& secret, std::size_t) {
  if (secret.need == containerfile::Need::optional || places_.secrets.contains(secret.id)) return;
  throw Error(fmt::format("the secret {} is required and was not given", printable(secret.id)),
              fmt::format("--secret id={},src=FILE gives it", printable(secret.id)));
}

std::vector<std::string> StepMounts::mount_inside(const runtime::BuiltContainer& built) const {
  std::vector<std::string> variables;
  for (std::size_t number = 0; number < step_.mounts.size(); ++number) {
    const auto* bind = std::get_if<BindMount>(&step_.mounts[number]);
    if (bind != nullptr && step_.mount_sources[number]) {
      mount_stage(*bind, built.stacks.at(*step_.mount_sources[number]), built.files, number);
    }
    const auto* secret = std::get_if<SecretMount>(&step_.mounts[number]);
    const auto given = secret == nullptr ? places_.secrets.end() : places_.secrets.find(secret->id);
    if (given == places_.secrets.end()) continue;
    if (!secret->target.empty()) mount_secret(*secret, built.files, number);
    if (secret->variable) {
      variables.push_back(*secret->variable + "=" + read_file(in_proc(given->second), k_max_variable_bytes));
    }
  }
  return variables;
}

void StepMounts::mount_stage(const BindMount& bind, const Fd& stage, const Fd& files, std::size_t number) const {
  const runtime::Rootfs root(open_file(in_proc(stage), O_PATH | O_DIRECTORY));
  const auto source = root.find(bind.source.empty() ? "/" : bind.source, O_PATH);
  if (!source) throw Error(fmt::format("{} is not in {}", printable(bind.source, 4096), printable(bind.from)));
  const NodeKind kind = kind_of(*source);
  Fd tree;
  if (bind.access == MountAccess::read_write && kind == NodeKind::directory) {
    const std::string upper = fmt::format("upper-{}", number), work = fmt::format("work-{}", number);
    for (const std::string& name : {upper, work}) {
      if (::mkdirat(files.get(), name.c_str(), 0755) != 0) throw SysError("cannot make a mount writable");
    }
    tree = runtime::mount_overlay({in_proc(*source), in_proc(files) + "/" + upper, in_proc(files) + "/" + work});
  } else {
    tree = runtime::bind_tree(in_proc(*source), attributes_of(MountAccess::read_only), MS_PRIVATE);
  }
  container_root().attach(tree, absolute(bind.target), kind, MountOrigin::own);
}

void StepMounts::mount_secret(const SecretMount& secret, const Fd& files, std::size_t number) const {
  const std::string name = fmt::format("secret-{}", number);
  {
    const Fd copy(::openat(files.get(), name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!copy) throw SysError("cannot make the file of a secret");
    copy_file(places_.secrets.at(secret.id), copy, secret.id);
    if (::fchmod(copy.get(), secret.mode.value_or(0400)) != 0) throw SysError("cannot set the mode of a secret");
  }
  const Fd tree = runtime::bind_tree(in_proc(files) + "/" + name, k_quiet | MOUNT_ATTR_NOEXEC, MS_PRIVATE);
  container_root().attach(tree, absolute(secret.target), NodeKind::file, MountOrigin::own);
}

}  // namespace mlctr::build
