// Entering a container that runs.
#pragma once

#include "runtime/identity.hpp"
#include "runtime/message.hpp"

namespace mlctr::runtime {

/// `answer` is what the container's socket gave for "join". The calling process (single-threaded) goes into all its
/// namespaces; its root is the container's. Where the identity there is not the one asked for, a user namespace inside
/// gives it: a container of an ordinary user can be entered as mapped root, and the other way. Of a new pid namespace
/// only children of the caller are part. Throws Error where nobody is inside any more.
void join_container(const Message& answer, Remap remap);

}  // namespace mlctr::runtime
