// What a container's server shares with another process that stands by to go on in its place: the kernel keeps a FUSE
// mount as long as anybody has its descriptor. It travels in the answer to "stand by", as JSON and descriptors behind
// those of the namespaces:
//
//   "standby": {"owner": [UID, GID], "name": SOCKET, "images": [BYTES], "kept": N, "watch": true|false,
//               "sessions": [{"image": N, "first_request": BYTES}]}        BYTES: a list of numbers
//   descriptors: the socket's directory, the socket, the lock, each image, each session's, the watch, what is kept
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <deque>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.hpp"
#include "runtime/container_socket.hpp"
#include "runtime/image_server.hpp"

namespace mlctr::runtime {

/// The file stays open as long as the reader is there.
struct ServedImage {
  const squashfs::Reader* reader;
  int file;
};

/// A mount that is served.
struct ServedMount {
  std::size_t image;
  Fd device;                    ///< of /dev/fuse: nobody reads it, each server has clones
  std::string first_request{};  ///< empty: not heard yet
};

/// What keeps a container's server.
struct ServedContainer {
  std::deque<ServedMount> mounts{};  ///< threads have references into it
  Fd watch{};              ///< readable when the container is gone; may be empty
  std::vector<Fd> kept{};   ///< to be open as long
};

struct SharedImage {
  std::filesystem::path name;
  Fd file;
};

struct ServerShare {
  ServedContainer served;
  std::vector<SharedImage> images;
  Owner owner;
  ContainerSocket socket;
};

/// Puts "standby" into the answer; returns the descriptors to send behind the others.
std::vector<int> write_share(const ServedContainer& served, const std::vector<ServedImage>& images, Owner owner,
                             const ContainerSocket& socket, nlohmann::json& answer);

/// Takes its descriptors out of an answer to "stand by" and leaves the namespaces'. Absent where the container can have
/// no second server.
std::optional<ServerShare> take_share(Message& answer);

}  // namespace mlctr::runtime
