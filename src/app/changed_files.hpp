// Which files a container's program changed, seen from outside once it has ended: the upper directory's descriptor
// outlives the mount namespace it was made in.
#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "base/fd.hpp"

namespace mlctr {

struct LostFiles {
  std::size_t count = 0;  ///< at most 10,000 are counted
  /// Some of them: those that say most, as "/usr/bin/x". None of caches, logs and package lists.
  std::vector<std::filesystem::path> examples{};
};

class ChangedFiles {
 public:
  ChangedFiles();

  /// In the process that becomes the program, right before: what is in `upper` now does not count.
  void begin(const Fd& upper) const;

  /// In its parent, when it has ended: files and links made, changed or removed since; directories don't count. At most
  /// `examples` are named. Nothing where begin() was never reached.
  LostFiles find(std::size_t examples) const;

 private:
  Fd here_, there_;
};

}  // namespace mlctr
