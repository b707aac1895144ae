// How many files a container's program changed, seen from outside once it has ended: the upper directory's descriptor
// outlives the mount namespace it was made in.
#pragma once

#include <cstddef>

#include "base/fd.hpp"

namespace mlctr {

class ChangedFiles {
 public:
  ChangedFiles();

  /// In the process that becomes the program, right before: what is in `upper` now does not count.
  void begin(const Fd& upper) const;

  /// In its parent, when it has ended: files and links made, changed or removed since; directories don't count. At most
  /// 10,000 are counted. 0 where begin() was never reached.
  std::size_t count() const;

 private:
  Fd here_, there_;
};

}  // namespace mlctr
