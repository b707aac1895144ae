// A named container's server, asked by the container's name.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "app/runtime_directory.hpp"
#include "runtime/message.hpp"
#include "store/container_store.hpp"

namespace mlctr {

/// The answer to `request` (runtime/container_socket.hpp); absent where the container does not run. Waits for one that
/// ends because it was never whole. One that runs with another runtime directory (of a login session, say, while a job
/// has none) is found by its lock; throws Error where it can't be reached from here. A server removes its
/// socket when its container ends. Where all were killed instead, programs go on as far as they can without, on an
/// upper directory that nobody else may use meanwhile: throws Error then, with their pids.
std::optional<runtime::Message> ask_named_container(const RuntimeDirectory& directory, const ContainerStore& containers,
                                                    const std::string& name, std::string_view request);

/// runtime/run_lock.hpp.
std::filesystem::path run_lock_of(const ContainerStore& containers, std::string_view name);

/// Kills what goes on in a container without its server, and waits for its end. Nothing where the server lives.
void end_strays(const RuntimeDirectory& directory, const ContainerStore& containers, const std::string& name);

}  // namespace mlctr
