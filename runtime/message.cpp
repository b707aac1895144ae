#include "runtime/message.hpp"

#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::size_t k_max_datagram_bytes = 32u << 10;  // well below net.core.wmem_default
constexpr std::string_view k_in_memory_file = "@";

struct ControlBuffer {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * k_max_message_fds) + CMSG_SPACE(sizeof(ucred))> bytes{};
};

void take_control(Message& message, msghdr& header) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET) continue;
    if (part->cmsg_type == SCM_CREDENTIALS) {
      ucred sender;
      std::memcpy(&sender, CMSG_DATA(part), sizeof sender);
      message.sender = sender.pid;
      message.sender_uid = sender.uid;
    } else if (part->cmsg_type == SCM_RIGHTS) {
      for (std::size_t at = 0; at + sizeof(int) <= part->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
        int fd = -1;
        std::memcpy(&fd, CMSG_DATA(part) + at, sizeof fd);
        message.fds.emplace_back(fd);
      }
    }
  }
}

Fd memory_file(std::string_view text) {
  Fd file(::memfd_create("mlctr-message", MFD_CLOEXEC));
  if (!file) throw SysError("cannot make a memory file");
  write_all_at(file.get(), std::as_bytes(std::span(text)), 0, "a message");
  return file;
}

void take_memory_file(Message& message) {
  if (message.fds.empty()) return;
  const Fd file = std::move(message.fds.back());
  message.fds.pop_back();
  const std::uint64_t size = file_size(file.get(), "a message");
  if (size > k_max_message_bytes) throw Error("a message from another process of mlctr is too large");
  message.text.resize(size);
  read_at(file.get(), std::as_writable_bytes(std::span(message.text)), 0, "a message");
}

}  // namespace

std::pair<Fd, Fd> socket_pair() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    throw SysError("cannot make a pair of sockets");
  }
  std::pair<Fd, Fd> pair{Fd(ends[0]), Fd(ends[1])};
  const int on = 1;
  for (const int end : ends) ::setsockopt(end, SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
  return pair;
}

void send_message(const Fd& socket, std::string_view text, const std::vector<int>& fds) {
  if (text.size() > k_max_datagram_bytes) {
    const Fd file = memory_file(text);
    std::vector<int> more = fds;
    more.push_back(file.get());
    return send_message(socket, k_in_memory_file, more);
  }
  iovec part{const_cast<char*>(text.data()), text.size()};
  ControlBuffer control;
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (!fds.empty()) {
    header.msg_control = control.bytes.data();
    header.msg_controllen = CMSG_SPACE(sizeof(int) * fds.size());
    cmsghdr* rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int) * fds.size());
    std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(int) * fds.size());
  }
  ssize_t sent;
  do sent = ::sendmsg(socket.get(), &header, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  if (sent < 0) throw SysError("cannot send a message to another process of mlctr");
}

std::optional<Message> receive_message(const Fd& socket) {
  Message message;
  message.text.resize(k_max_datagram_bytes);
  iovec part{message.text.data(), message.text.size()};
  ControlBuffer control;
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.bytes.data();
  header.msg_controllen = control.bytes.size();
  ssize_t size;
  do size = ::recvmsg(socket.get(), &header, MSG_CMSG_CLOEXEC);
  while (size < 0 && errno == EINTR);
  if (size < 0 && errno != ECONNRESET) throw SysError("cannot receive a message from another process of mlctr");
  take_control(message, header);
  if (size <= 0) return std::nullopt;
  message.text.resize(static_cast<std::size_t>(size));
  if (message.text == k_in_memory_file) take_memory_file(message);
  return message;
}

}  // namespace mlctr::runtime
