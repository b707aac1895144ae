#include "spank/hand_off.hpp"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "spank/numbers.hpp"

namespace mlctr::spank {
namespace {

constexpr std::size_t k_max_descriptors = MLCTR_HAND_OFF_MAX_NAMESPACES + 1;

struct Message {
  Failure failure;
  std::array<char, MLCTR_HAND_OFF_MAX_TEXT> text;
  std::size_t text_bytes = 0;
  std::array<Descriptor, k_max_descriptors> descriptors;
  std::size_t descriptor_count = 0;
};

Failure refused(const char* why) {
  return failed("what mlctr handed over can't be used: %s", why);
}

/// Owns whatever descriptors came, wanted or not.
void take_descriptors(msghdr& header, Message& message) {
  for (cmsghdr* control = CMSG_FIRSTHDR(&header); control != nullptr; control = CMSG_NXTHDR(&header, control)) {
    if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(control) + i * sizeof(int), sizeof(int));
      Descriptor owned(fd);
      if (message.descriptor_count < k_max_descriptors) {
        message.descriptors[message.descriptor_count++] = std::move(owned);
      } else {
        message.failure = refused("too many descriptors");
      }
    }
  }
}

Message receive(int socket) {
  Message message;
  iovec text{.iov_base = message.text.data(), .iov_len = message.text.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(k_max_descriptors * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &text;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  ssize_t got = 0;
  do got = ::recvmsg(socket, &header, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
  while (got < 0 && errno == EINTR);
  if (got <= 0) {
    message.failure = refused("there is no message");
    return message;
  }
  take_descriptors(header, message);
  message.text_bytes = static_cast<std::size_t>(got);
  if ((header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0) message.failure = refused("the message is too long");
  return message;
}

/// "mlctr1 NAMESPACES UID GID FLAGS" into `hand_off`.
Failure read_text(std::string_view text, HandOff& hand_off) {
  constexpr std::string_view version = MLCTR_HAND_OFF_VERSION " ";
  if (!text.starts_with(version)) return failed("mlctr and the plugin are of different versions: reinstall both");
  text.remove_prefix(version.size());
  std::array<std::uint32_t, 4> numbers;
  if (!read_numbers(text, numbers.data(), numbers.size())) return refused("its text is malformed");
  hand_off.namespace_count = numbers[0];
  hand_off.uid = numbers[1];
  hand_off.gid = numbers[2];
  if ((numbers[3] & ~static_cast<std::uint32_t>(MLCTR_HAND_OFF_KNOWN_FLAGS)) != 0) {
    return failed("mlctr and the plugin are of different versions: reinstall both");
  }
  if (hand_off.namespace_count < 1 || hand_off.namespace_count > MLCTR_HAND_OFF_MAX_NAMESPACES) {
    return refused("no such number of namespaces");
  }
  return {};
}

/// The descriptors are namespaces, and a mount namespace that isn't the caller's is among them: without one the task
/// would see the host's files.
Failure check_namespaces(const HandOff& hand_off) {
  struct stat own;
  if (::stat("/proc/self/ns/mnt", &own) != 0) return failed_by_errno("cannot look at /proc/self/ns/mnt");
  bool leaves_host = false;
  for (std::size_t i = 0; i < hand_off.namespace_count; ++i) {
    const int type = ::ioctl(hand_off.namespaces[i].get(), NS_GET_NSTYPE);
    if (type < 0) return refused("a descriptor is no namespace");
    struct stat status;
    if (type != CLONE_NEWNS || ::fstat(hand_off.namespaces[i].get(), &status) != 0) continue;
    leaves_host = status.st_ino != own.st_ino || status.st_dev != own.st_dev;
  }
  return leaves_host ? Failure{} : refused("it leads to the host's own files");
}

Failure map_records(int memfd, MappedRecords& records) {
  constexpr int wanted = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
  const int seals = ::fcntl(memfd, F_GET_SEALS);
  if (seals < 0 || (seals & wanted) != wanted) return refused("its records are not sealed");
  struct stat status;
  if (::fstat(memfd, &status) != 0 || status.st_size > MLCTR_HAND_OFF_MAX_BYTES)
    return refused("its records are too big");
  const auto size_bytes = static_cast<std::size_t>(status.st_size);
  if (size_bytes == 0) return {};
  void* const data = ::mmap(nullptr, size_bytes, PROT_READ, MAP_PRIVATE, memfd, 0);
  if (data == MAP_FAILED) return failed_by_errno("cannot map what mlctr handed over");
  records = MappedRecords(static_cast<const std::byte*>(data), size_bytes);
  return {};
}

Failure check_record(const MappedRecords::Record& record) {
  switch (record.kind) {
    case MLCTR_HAND_OFF_VARIABLE: {
      const std::size_t equals = record.bytes.find('=');
      if (equals == 0 || equals == std::string_view::npos) return refused("a variable is malformed");
      break;
    }
    case MLCTR_HAND_OFF_DIRECTORY:
      if (record.bytes.empty() || record.bytes[0] != '/') return refused("a directory is malformed");
      break;
    case MLCTR_HAND_OFF_FILTER:
      if (record.bytes.empty() || record.bytes.size() % sizeof(sock_filter) != 0 ||
          record.bytes.size() > MLCTR_HAND_OFF_MAX_FILTER_BYTES) {
        return refused("its filter is malformed");
      }
      return {};
    case MLCTR_HAND_OFF_IDENTITY: {
      std::array<std::uint32_t, 2> ids;
      if (!read_numbers(record.bytes, ids.data(), ids.size())) return refused("its identity is malformed");
      break;
    }
    default:
      return {};
  }
  return record.bytes.find('\0') == std::string_view::npos ? Failure{} : refused("a text has a NUL in it");
}

Failure check_records(const MappedRecords& records) {
  std::size_t filters = 0;
  std::size_t identities = 0;
  for (std::size_t offset = 0; offset < records.size_bytes();) {
    if (!records.has_whole(offset)) return refused("a record is cut off");
    const MappedRecords::Record record = records.take(offset);
    if (Failure failure = check_record(record); failure.happened()) return failure;
    filters += record.kind == MLCTR_HAND_OFF_FILTER;
    identities += record.kind == MLCTR_HAND_OFF_IDENTITY;
  }
  return filters <= 1 && identities <= 1 ? Failure{} : refused("a record is there twice");
}

Failure read_message(Message& message, HandOff& hand_off) {
  if (message.failure.happened()) return message.failure;
  if (Failure failure = read_text({message.text.data(), message.text_bytes}, hand_off); failure.happened())
    return failure;
  if (message.descriptor_count != hand_off.namespace_count + 1) return refused("descriptors are missing");
  for (std::size_t i = 0; i < hand_off.namespace_count; ++i) {
    hand_off.namespaces[i] = std::move(message.descriptors[i + 1]);
  }
  if (Failure failure = check_namespaces(hand_off); failure.happened()) return failure;
  if (Failure failure = map_records(message.descriptors[0].get(), hand_off.records); failure.happened()) return failure;
  return check_records(hand_off.records);
}

}  // namespace

MappedRecords::MappedRecords(MappedRecords&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_bytes_(std::exchange(other.size_bytes_, 0)) {}

MappedRecords& MappedRecords::operator=(MappedRecords&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  return *this;
}

MappedRecords::~MappedRecords() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_bytes_);
}

bool MappedRecords::has_whole(std::size_t offset) const {
  mlctr_hand_off_record head;
  if (size_bytes_ - offset < sizeof(head)) return false;
  std::memcpy(&head, data_ + offset, sizeof(head));
  return head.length <= size_bytes_ - offset - sizeof(head);
}

MappedRecords::Record MappedRecords::take(std::size_t& offset) const {
  mlctr_hand_off_record head;
  std::memcpy(&head, data_ + offset, sizeof(head));  // no padding, so that it may lie anywhere
  const char* const bytes = reinterpret_cast<const char*>(data_ + offset + sizeof(head));
  offset += sizeof(head) + head.length;
  return {.kind = head.kind, .bytes = {bytes, head.length}};
}

HandOff take_hand_off(int socket) {
  HandOff hand_off;
  Message message = receive(socket);
  hand_off.failure = read_message(message, hand_off);
  return hand_off;
}

}  // namespace mlctr::spank
