#include "app/standby_server.hpp"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "app/open_image.hpp"
#include "app/open_stores.hpp"
#include "app/rootfs_fallback.hpp"
#include "base/error.hpp"
#include "runtime/container_server.hpp"
#include "runtime/server_share.hpp"

namespace mlctr {
namespace {

// What the server was given; the rest each adds to its answers.
std::string own_description(nlohmann::json answer) {
  for (const char* added : {"standby", "namespaces", "mount_namespace"}) answer.erase(added);
  return answer.dump();
}

const Fd& mount_namespace(const nlohmann::json& answer, const std::vector<Fd>& namespaces) {
  const auto& names = answer.at("namespaces");
  for (std::size_t i = 0; i < names.size() && i < namespaces.size(); ++i) {
    if (names[i] == "mnt") return namespaces[i];
  }
  throw Error("a container's server sent no mount namespace");
}

}  // namespace

Fd start_standby_server(const Configuration& configuration, runtime::Message& running, std::vector<int> not_inherited) {
  auto share = runtime::take_share(running);
  if (!share) return Fd();
  const auto answer = nlohmann::json::parse(running.text);
  std::vector<OpenImage> images;
  for (runtime::SharedImage& image : share->images) images.emplace_back(std::move(image.file), image.name);
  for (const Fd& fd : running.fds) not_inherited.push_back(fd.get());  // the container would never end
  runtime::ServerSetup setup{
      .images = {},
      .options = {.owner = share->owner},
      .socket = std::move(share->socket),
      .description = own_description(answer),
      .at_end = [root = open_containers(configuration).root()] { remove_dead_unpacked(root); },
      .not_inherited = std::move(not_inherited)};
  for (const OpenImage& image : images) setup.images.push_back({image.reader.get(), image.file.get()});
  return runtime::ContainerServer::stand_by(std::move(setup), std::move(share->served),
                                            {::getpid(), mount_namespace(answer, running.fds)});
}

}  // namespace mlctr
