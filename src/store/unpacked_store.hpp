// Images unpacked to directories, for kernels that can't mount them (DESIGN decision 5); beside the named containers.
//
//   <containers>/.unpacked/<key>/tree/       the image's files, the user's own; nobody changes them
//   <containers>/.unpacked/<key>/in_use      flock(2): shared by who uses the tree, exclusive by who removes it; its
//                                            mtime is when it was used last
//   <containers>/.unpacked/new-<random>/     alike; being made, by one process an image (locks/<key>)
//   <containers>/.unpacked/own-<random>/     alike; one container's own, which goes with it
#pragma once

#include <cstdint>
#include <ctime>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "store/lock.hpp"

namespace mlctr {

/// Whoever has `in_use` open keeps the tree from being removed.
struct UnpackedTree {
  std::filesystem::path tree;
  Fd in_use;
};

struct StoredTree {
  std::string key;
  std::time_t last_used = 0;
  std::uint64_t allocated_bytes = 0;
};

/// A file's content, as long as nobody changes it: "file-<device>-<inode>-<size>-<mtime>".
std::string unpacked_key_of_file(int file, std::string_view file_name);

class UnpackedStore {
 public:
  /// Fills the directory it is given.
  using Fill = std::function<void(const std::filesystem::path& tree)>;

  explicit UnpackedStore(const std::filesystem::path& containers) : root_(containers / ".unpacked") {}

  /// The tree of `key` (a file name). Made by `fill` where it is missing: whole and on disk before anyone sees it;
  /// others who want it wait meanwhile, and `on_wait` is called once. Nothing is left of one that failed.
  UnpackedTree find_or_make(const std::string& key, const Fill& fill,
                            const std::function<void(const LockOwner&)>& on_wait) const;
  bool has(const std::string& key) const;
  std::optional<UnpackedTree> find(const std::string& key) const;

  /// A tree for one user, who may change it. remove_dead() removes it once `in_use` is closed everywhere.
  UnpackedTree make_own(const Fill& fill) const;

  /// Removes what has no user and no maker any more, however those ended, but for whole trees under a key.
  void remove_dead() const;

  std::vector<StoredTree> list() const;
  /// False where somebody uses it.
  bool remove(const std::string& key) const;

 private:
  std::filesystem::path root_;
};

}  // namespace mlctr
