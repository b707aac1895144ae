// What programs do to a container's files that an overlay's upper directory must be able to keep.
#pragma once

#include <string>

#include "base/fd.hpp"

namespace mlctr {

/// Mounts an overlay on `upper` and `work` (absolute, or in `scratch`, runtime::make_scratch's), in it changes a file,
/// removes one and replaces a directory. Throws SysError that says which of them failed.
void exercise_overlay(const Fd& scratch, const std::string& upper, const std::string& work);

}  // namespace mlctr
