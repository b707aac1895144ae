// Processes of a container whose server was killed: they go on as far as they can without it, on an upper directory that
// nobody else may use meanwhile.
#pragma once

#include <string>

#include "app/runtime_directory.hpp"
#include "store/container_store.hpp"

namespace mlctr {

/// For a container that nobody answers for. A server removes its socket when its container ends; where the socket of a
/// named container is still there, throws Error that names the processes in it, if there are any.
void check_no_strays(const RuntimeDirectory& directory, const ContainerStore& containers, const std::string& name);

}  // namespace mlctr
