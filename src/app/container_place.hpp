// Where a container that is to start will listen: whoever has the place makes the container, and nobody else can.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "app/runtime_directory.hpp"
#include "runtime/container_socket.hpp"
#include "runtime/message.hpp"
#include "store/container_store.hpp"

namespace mlctr {

/// A socket to listen on, or the answer to "join" of the container that does already.
using ContainerPlace = std::variant<runtime::ContainerSocket, runtime::Message>;

/// The answer may be to "stand by" instead (runtime/container_socket.hpp).
ContainerPlace claim_named(const RuntimeDirectory& directory, const ContainerStore& containers, const std::string& name,
                           std::string_view request = runtime::k_join);

/// The place of a named container, once; absent where somebody has it, in whichever runtime directory.
std::optional<runtime::ContainerSocket> try_take_named(const RuntimeDirectory& directory,
                                                       const ContainerStore& containers, const std::string& name);

/// The one unnamed container of that id, as which a Slurm step's is found.
ContainerPlace claim_unnamed(const RuntimeDirectory& directory, const std::string& id);

/// An unnamed container that is nobody else's.
runtime::ContainerSocket claim_own(const RuntimeDirectory& directory);

}  // namespace mlctr
