// The seccomp filter of a container (seccomp(2), libseccomp). One filter is active with and without remapped root, as
// programs that probe for it find it with pyxis.
#pragma once

#include <string>

#include "runtime/identity.hpp"

namespace mlctr::runtime {

/// Installs the filter in the calling process, for good. no_new_privs must be set. With Remap::root what a user
/// namespace of one id can't do answers success: changing owners to other ids, becoming other users, making device
/// nodes (DESIGN decision 7). What it can do (to its own id) still happens. Throws Error.
void install_filter(Remap remap);

/// The same as a program for seccomp(2), an array of struct sock_filter, for a process that installs it itself.
std::string compile_filter(Remap remap);

}  // namespace mlctr::runtime
