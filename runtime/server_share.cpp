#include "runtime/server_share.hpp"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "base/error.hpp"

namespace mlctr::runtime {
namespace {

constexpr const char* k_share = "standby";

// Neither is a text in JSON's sense.
std::vector<std::uint8_t> to_numbers(const std::string& bytes) {
  return {bytes.begin(), bytes.end()};
}

std::string to_bytes(const nlohmann::json& numbers) {
  const auto bytes = numbers.get<std::vector<std::uint8_t>>();
  return {bytes.begin(), bytes.end()};
}

// Hands out an answer's descriptors in their order.
class Descriptors {
 public:
  Descriptors(Message& answer, std::size_t first) {
    if (answer.fds.size() < first) throw Error("a container's server sent less than it said");
    const auto begin = answer.fds.begin() + static_cast<std::ptrdiff_t>(first);
    fds_.assign(std::make_move_iterator(begin), std::make_move_iterator(answer.fds.end()));
    answer.fds.erase(begin, answer.fds.end());
  }

  Fd next() {
    if (at_ == fds_.size()) throw Error("a container's server sent less than it said");
    return std::move(fds_[at_++]);
  }

 private:
  std::vector<Fd> fds_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<int> write_share(const ServedContainer& served, const std::vector<ServedImage>& images, Owner owner,
                             const ContainerSocket& socket, nlohmann::json& answer) {
  std::vector<int> fds{socket.directory().get(), socket.fd(), socket.lock().get()};
  nlohmann::json names = nlohmann::json::array(), sessions = nlohmann::json::array();
  for (const ServedImage& image : images) {
    names.push_back(to_numbers(image.reader->image().name()));
    fds.push_back(image.file);
  }
  for (const ServedMount& mount : served.mounts) {
    sessions.push_back({{"image", mount.image}, {"first_request", to_numbers(mount.first_request)}});
    fds.push_back(mount.device.get());
  }
  if (served.watch) fds.push_back(served.watch.get());
  for (const Fd& fd : served.kept) fds.push_back(fd.get());
  answer[k_share] = {{"owner", {owner.uid, owner.gid}},
                     {"name", socket.name()},
                     {"images", names},
                     {"kept", served.kept.size()},
                     {"watch", static_cast<bool>(served.watch)},
                     {"sessions", sessions}};
  return fds;
}

std::optional<ServerShare> take_share(Message& answer) {
  const auto json = nlohmann::json::parse(answer.text);
  if (!json.contains(k_share)) return std::nullopt;
  const auto& share = json.at(k_share);
  Descriptors fds(answer, json.at("namespaces").size());
  Fd directory = fds.next(), listener = fds.next(), lock = fds.next();
  ServerShare taken{.served = {},
                    .images = {},
                    .owner = {share.at("owner").at(0), share.at("owner").at(1)},
                    .socket = {std::move(directory), share.at("name"), std::move(listener), std::move(lock)}};
  for (const auto& name : share.at("images")) taken.images.push_back({to_bytes(name), fds.next()});
  for (const auto& session : share.at("sessions")) {
    taken.served.mounts.push_back({session.at("image"), fds.next(), to_bytes(session.at("first_request"))});
  }
  if (share.at("watch").get<bool>()) taken.served.watch = fds.next();
  for (auto left = share.at("kept").get<std::size_t>(); left > 0; --left) taken.served.kept.push_back(fds.next());
  return taken;
}

}  // namespace mlctr::runtime
