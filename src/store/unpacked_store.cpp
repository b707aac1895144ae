#include "store/unpacked_store.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/error.hpp"
#include "base/file.hpp"
#include "store/allocation.hpp"
#include "store/remove_tree.hpp"
#include "store/store_names.hpp"
#include "store/store_root.hpp"

namespace mlctr {
namespace {

constexpr std::string_view k_unpacked_new = "new-", k_own = "own-", k_unpacked_removed = "removed-";
constexpr const char *k_tree = "tree", *k_in_use = "in_use", *k_locks = "locks";
constexpr std::time_t k_unlocked_for_s = 60;  // between a directory's making and its lock lie microseconds

void make_directory(const std::filesystem::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) != 0 && errno != EEXIST) throw SysError("cannot make " + path.string());
}

bool is_for_good(std::string_view name) {
  return name != k_locks && !name.starts_with(k_unpacked_new) && !name.starts_with(k_own) &&
         !name.starts_with(k_unpacked_removed);
}

// Whether nobody has it, and nobody can have it any more as long as the result is open. Where a filesystem has no such
// locks nothing is ever known to be unused.
std::optional<Fd> lock_unused(const std::filesystem::path& directory) {
  Fd in_use(::open((directory / k_in_use).c_str(), O_RDWR | O_CLOEXEC));
  if (in_use && ::flock(in_use.get(), LOCK_EX | LOCK_NB) == 0) return in_use;
  struct stat status {};
  const bool was_never_locked =
      !in_use && ::stat(directory.c_str(), &status) == 0 && status.st_mtime < ::time(nullptr) - k_unlocked_for_s;
  return was_never_locked ? std::optional<Fd>(Fd()) : std::nullopt;
}

// A directory with a tree in it that is this process's until it is kept; removed by the destructor.
class NewTree {
 public:
  NewTree(const std::filesystem::path& root, std::string_view prefix)
      : root_(root), path_(root / (std::string(prefix) + random_suffix())) {
    make_directory(path_, 0700);
    in_use_ = open_file(path_ / k_in_use, O_RDWR | O_CREAT | O_EXCL, 0600);
    ::flock(in_use_.get(), LOCK_SH);
    make_directory(path_ / k_tree, 0700);
  }
  NewTree(const NewTree&) = delete;
  NewTree& operator=(const NewTree&) = delete;
  ~NewTree() {
    try {
      if (in_use_) remove_tree(path_);
    } catch (const Error&) {
      // What is left here, remove_dead() removes.
    }
  }

  std::filesystem::path tree() const { return path_ / k_tree; }

  UnpackedTree keep() && { return {tree(), std::move(in_use_)}; }

  UnpackedTree keep_as(const std::string& key) && {
    // All of it at once: a sync for each of its files would take longer than writing them.
    const Fd directory = open_file(path_, O_RDONLY | O_DIRECTORY);
    if (::syncfs(directory.get()) != 0) throw SysError("cannot write " + path_.string());
    rename_file(path_, root_ / key);
    path_ = root_ / key;
    sync_directory(root_);
    return std::move(*this).keep();
  }

 private:
  std::filesystem::path root_, path_;
  Fd in_use_;
};

}  // namespace

std::string unpacked_key_of_file(int file, std::string_view file_name) {
  struct stat status {};
  if (::fstat(file, &status) != 0) throw SysError(fmt::format("cannot look at {}", file_name));
  return fmt::format("file-{:x}-{:x}-{}-{}.{:09}", status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec);
}

bool UnpackedStore::has(const std::string& key) const {
  std::error_code error;
  return std::filesystem::exists(root_ / key, error);
}

std::optional<UnpackedTree> UnpackedStore::find(const std::string& key) const {
  const std::filesystem::path directory = root_ / key;
  for (;;) {
    Fd in_use(::open((directory / k_in_use).c_str(), O_RDWR | O_CLOEXEC));
    if (!in_use) return std::nullopt;
    ::flock(in_use.get(), LOCK_SH);  // waits for somebody who is about to remove it
    struct stat locked {
    }, there{};
    if (::fstat(in_use.get(), &locked) != 0 || ::stat((directory / k_in_use).c_str(), &there) != 0 ||
        locked.st_ino != there.st_ino) {
      continue;  // removed meanwhile
    }
    ::futimens(in_use.get(), nullptr);
    return UnpackedTree{directory / k_tree, std::move(in_use)};
  }
}

UnpackedTree UnpackedStore::find_or_make(const std::string& key, const Fill& fill,
                                         const std::function<void(const LockOwner&)>& on_wait) const {
  if (auto found = find(key)) return std::move(*found);
  create_store_root(root_.parent_path());
  check_store_is_private(root_.parent_path());
  make_directory(root_, 0700);
  make_directory(root_ / k_locks, 0700);
  Lock lock = Lock::acquire(root_ / k_locks / key, {}, on_wait);
  auto tree = find(key);  // made while we waited
  if (!tree) {
    remove_dead();
    NewTree made(root_, k_unpacked_new);
    fill(made.tree());
    tree = std::move(made).keep_as(key);
  }
  lock.remove();
  return std::move(*tree);
}

UnpackedTree UnpackedStore::make_own(const Fill& fill) const {
  create_store_root(root_.parent_path());
  check_store_is_private(root_.parent_path());
  make_directory(root_, 0700);
  remove_dead();
  NewTree made(root_, k_own);
  fill(made.tree());
  return std::move(made).keep();
}

void UnpackedStore::remove_dead() const {
  for (const std::string& name : list_directory(root_)) {
    if (name == k_locks || is_for_good(name)) continue;
    if (const auto unused = lock_unused(root_ / name)) remove_tree(root_ / name);
  }
}

std::vector<StoredTree> UnpackedStore::list() const {
  std::vector<StoredTree> trees;
  for (const std::string& name : list_directory(root_)) {
    struct stat status {};
    if (!is_for_good(name) || ::stat((root_ / name / k_in_use).c_str(), &status) != 0) continue;
    trees.push_back({name, status.st_mtime, allocated_bytes_below(root_ / name)});
  }
  return trees;
}

bool UnpackedStore::remove(const std::string& key) const {
  const auto unused = lock_unused(root_ / key);
  if (!unused) return false;
  // Out of sight first: one half removed must not be used.
  const std::filesystem::path aside = root_ / (std::string(k_unpacked_removed) + random_suffix());
  rename_file(root_ / key, aside);
  remove_tree(aside);
  return true;
}

}  // namespace mlctr
