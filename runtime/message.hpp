// Messages between mlctr's own processes on one node: SOCK_SEQPACKET Unix sockets that carry descriptors and the
// sender's process id (unix(7), SCM_RIGHTS and SCM_CREDENTIALS), so that a record is whole or not there. A text that may
// not fit a socket's buffer travels as a memory file (memfd_create(2)): its descriptor comes last, and the text is "@".
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.hpp"

namespace mlctr::runtime {

inline constexpr std::size_t k_max_message_bytes = 16u << 20;
inline constexpr std::size_t k_max_message_fds = 16;

struct Message {
  std::string text;
  std::vector<Fd> fds{};
  pid_t sender = 0;  ///< as the receiver's pid namespace sees it; the kernel vouches for it
  uid_t sender_uid = 0;
};

/// A connected pair; both ends tell the sender.
std::pair<Fd, Fd> socket_pair();

/// Throws SysError. An end that is gone is EPIPE, never a signal.
void send_message(const Fd& socket, std::string_view text, const std::vector<int>& fds = {});

/// Waits for the next message; absent where the other end is closed. Throws SysError.
std::optional<Message> receive_message(const Fd& socket);

}  // namespace mlctr::runtime
