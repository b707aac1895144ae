// Tells a tar's framing from its contents, byte by byte as it passes: which bytes are headers, padding and the like, and
// which are a regular file's content. It follows what libarchive (tar_reader.hpp) makes of the same bytes, and where it
// can't be sure of that (multi-volume archives, hard links with a content, unknown types) it says that it is lost.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "squashfs/tar_header.hpp"

namespace mlctr::squashfs {

/// One entry, as TarReader gives them, in its order.
struct FramedMember {
  bool has_content = false;  ///< its bytes in the tar are a file's content as it is: no sparse file's, and not none
  std::uint64_t size_bytes = 0;
};

class TarFraming {
 public:
  /// Who is told: all bytes but contents in order, and where a content of so many bytes stands between them.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void framing(std::span<const std::byte> bytes) = 0;
    virtual void content(std::uint64_t size_bytes) = 0;
  };

  explicit TarFraming(Listener& listener) : listener_(listener) {}

  /// The stream's next bytes. Once lost, does nothing.
  void feed(std::span<const std::byte> bytes);

  /// The next of the members whose headers have been fed.
  std::optional<FramedMember> next_member();

  bool is_lost() const noexcept { return is_lost_; }

 private:
  // What the bytes at hand are part of.
  enum class Part { header, records, sparse_map, content, skipped, trailer };

  std::size_t take(std::span<const std::byte> bytes);
  void gather(std::span<const std::byte> bytes);
  void end_part();
  void read_header();
  void read_records();
  void begin_member(char type, std::uint64_t size_bytes);
  void begin(Part part, std::uint64_t bytes);
  void begin_body(std::uint64_t size_bytes);
  void lose() { is_lost_ = true; }

  Listener& listener_;
  Part part_ = Part::header;
  std::uint64_t left_ = k_tar_block_bytes;  // of the part
  std::uint64_t padding_ = 0;               // behind it
  std::string gathered_;                    // a header, or extended records
  char records_type_ = 'x';
  std::optional<std::uint64_t> pax_size_;
  bool is_pax_sparse_ = false;
  std::uint64_t sparse_body_ = 0;  // behind the maps of an old GNU sparse file
  std::deque<FramedMember> members_;
  bool is_lost_ = false;
};

}  // namespace mlctr::squashfs
