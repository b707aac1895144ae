// A whole run, to prove that one works: an image made in memory, with one program that ends at once with a code of its
// own, started by what `mlctr run` calls.
#pragma once

#include "app/configuration.hpp"
#include "app/finding.hpp"
#include "base/fd.hpp"

namespace mlctr {

/// A squashfs image with the program "/trial", for this machine's processor, as a memory file; empty where there is no
/// such program. The same bytes everywhere.
Fd make_trial_image();

/// What the program ends with, which nothing else would.
inline constexpr int k_trial_exit_code = 42;

/// Forks by itself.
Finding try_run(const Configuration& configuration);

}  // namespace mlctr
