#include "app/container_place.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <functional>
#include <optional>

#include "app/named_container.hpp"
#include "base/file.hpp"

namespace mlctr {
namespace {

// A container may end, or come to be, between the question and the claim.
ContainerPlace claim(const RuntimeDirectory& directory, const std::string& socket_name,
                     const std::function<std::optional<runtime::Message>()>& ask) {
  for (;;) {
    auto answer = ask();
    if (answer && !answer->fds.empty()) return std::move(*answer);
    if (auto socket = try_take_socket(directory, socket_name)) return std::move(*socket);
  }
}

}  // namespace

ContainerPlace claim_named(const RuntimeDirectory& directory, const ContainerStore& containers,
                           const std::string& name) {
  return claim(directory, socket_name(containers.root(), name),
               [&] { return ask_named_container(directory, containers, name, runtime::k_join); });
}

ContainerPlace claim_unnamed(const RuntimeDirectory& directory, const std::string& id) {
  const std::string name = unnamed_socket_name(id);
  return claim(directory, name, [&] { return runtime::ask_container(directory.sockets, name, runtime::k_join); });
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
