#include "app/container_place.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <functional>
#include <optional>

#include "app/named_container.hpp"
#include "base/file.hpp"
#include "runtime/run_lock.hpp"

namespace mlctr {
namespace {

// A container may end, or come to be, between the question and the claim.
ContainerPlace claim(const std::function<std::optional<runtime::Message>()>& ask,
                     const std::function<std::optional<runtime::ContainerSocket>()>& try_take) {
  for (;;) {
    auto answer = ask();
    if (answer && !answer->fds.empty()) return std::move(*answer);
    if (auto socket = try_take()) return std::move(*socket);
  }
}

}  // namespace

ContainerPlace claim_named(const RuntimeDirectory& directory, const ContainerStore& containers,
                           const std::string& name, std::string_view request) {
  return claim([&] { return ask_named_container(directory, containers, name, request); },
               [&] { return try_take_named(directory, containers, name); });
}

std::optional<runtime::ContainerSocket> try_take_named(const RuntimeDirectory& directory,
                                                       const ContainerStore& containers, const std::string& name) {
  auto lock = runtime::try_lock_run(run_lock_of(containers, name));
  if (!lock) return std::nullopt;
  auto socket = try_take_socket(directory, socket_name(containers.root(), name));
  if (socket && *lock) socket->keep_lock(std::move(*lock));
  return socket;
}

ContainerPlace claim_unnamed(const RuntimeDirectory& directory, const std::string& id) {
  const std::string name = unnamed_socket_name(id);
  return claim([&] { return runtime::ask_container(directory.sockets, name, runtime::k_join); },
               [&] { return try_take_socket(directory, name); });
}

runtime::ContainerSocket claim_own(const RuntimeDirectory& directory) {
  // Where an earlier one still has the name that this pid gives, it gets another.
  std::string id = fmt::format("{}", ::getpid());
  for (;;) {
    if (auto socket = try_take_socket(directory, unnamed_socket_name(id))) return std::move(*socket);
    id = fmt::format("{}.{}", ::getpid(), random_suffix());
  }
}

}  // namespace mlctr
