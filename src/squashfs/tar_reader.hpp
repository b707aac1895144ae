// The entries of a tar stream of any dialect (ustar, pax, GNU, old), as libarchive reads them and unjudged: what may
// become of them is LayerTree's to decide. Names are the archive's bytes, whatever the locale.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "squashfs/tree.hpp"

namespace mlctr::squashfs {

struct TarEntry {
  enum class Type { file, hard_link, symlink, directory, character_device, block_device, fifo, socket };

  std::string path{};
  Type type = Type::file;
  std::string link_target{};     ///< of hard links and symlinks
  std::uint64_t size_bytes = 0;  ///< of the content, holes included; a hard link may have one too (pax)
  std::uint16_t permissions = 0;
  std::int64_t uid = 0, gid = 0;
  std::int64_t mtime = 0;
  std::uint64_t device_major = 0, device_minor = 0;
  XattrSet xattrs{};  ///< unsorted; of one name's several values the last comes first
};

/// A piece of a content: what no piece covers is a hole. Valid until the next call.
struct TarData {
  std::uint64_t offset;
  std::span<const std::byte> bytes;
};

/// To be made, used and destroyed by one thread: meanwhile that thread's locale is "C".
class TarReader {
 public:
  /// The stream's next bytes, valid until it is called again; empty at the end. May throw, which next() and read_data()
  /// pass on.
  using Source = std::function<std::span<const std::byte>()>;

  explicit TarReader(Source source);
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;

  /// The next entry, skipping what is left of the last one's content; null at the end of the archive (which need not be
  /// the end of the stream). Throws LayerError.
  const TarEntry* next();

  /// The next piece of the entry's content, nullopt at its end. Throws LayerError.
  std::optional<TarData> read_data();

 private:
  struct Archive;
  std::unique_ptr<Archive> archive_;
};

}  // namespace mlctr::squashfs
