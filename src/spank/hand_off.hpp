// Takes what `mlctr step enter` hands over (hand_off.h) and checks all of it before anything is done with it.
#pragma once

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "spank/descriptor.hpp"
#include "spank/failure.hpp"
#include "spank/hand_off.h"

namespace mlctr::spank {

/// The memory of a sealed memfd, which can't change or shrink any more.
class MappedRecords {
 public:
  MappedRecords() = default;
  MappedRecords(const std::byte* data, std::size_t size_bytes) : data_(data), size_bytes_(size_bytes) {}
  MappedRecords(MappedRecords&& other) noexcept;
  MappedRecords& operator=(MappedRecords&& other) noexcept;
  ~MappedRecords();

  /// One record, by its place; moves `offset` on to the next. Only for what check_records() found in order.
  struct Record {
    std::uint32_t kind;
    std::string_view bytes;
  };
  Record take(std::size_t& offset) const;
  std::size_t size_bytes() const { return size_bytes_; }
  /// Calls `action` with the bytes of each record of a kind, in order.
  template <class Action>
  void each(std::uint32_t kind, Action action) const {
    for (std::size_t offset = 0; offset < size_bytes_;) {
      if (const Record record = take(offset); record.kind == kind) action(record.bytes);
    }
  }
  /// Whether there is a whole record at `offset`.
  bool has_whole(std::size_t offset) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_bytes_ = 0;
};

struct HandOff {
  Failure failure;  ///< the rest counts only where none happened
  std::array<Descriptor, MLCTR_HAND_OFF_MAX_NAMESPACES> namespaces;
  std::size_t namespace_count = 0;
  uid_t uid = 0;  ///< the task's inside
  gid_t gid = 0;
  MappedRecords records;
};

/// The message that waits in `socket`: whoever sent it has ended.
HandOff take_hand_off(int socket);

}  // namespace mlctr::spank
