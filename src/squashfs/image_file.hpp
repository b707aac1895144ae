// The bytes of one squashfs image: of a file, from its start or from an offset (a SIF file's partition), or of a file
// and the pieces beside it (image_pieces.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.hpp"
#include "squashfs/image_pieces.hpp"

namespace mlctr::squashfs {

/// Bytes of an image that lie together in one file.
struct ImagePart {
  int file = -1;
  std::uint64_t at = 0;  ///< in that file
  std::uint64_t size = 0;
  std::string_view piece{};  ///< its name, where it is one
};

class ImageFile {
 public:
  /// Borrows `file`, which must stay open, and opens its pieces. Throws where `offset` lies behind its end, and where a
  /// piece is missing or cut off.
  ImageFile(int file, const std::filesystem::path& name, std::uint64_t offset);

  std::uint64_t size() const noexcept { return size_; }
  const std::string& name() const noexcept { return name_; }

  /// All of `into`; throws where the image ends before.
  void read(std::uint64_t at, std::span<std::byte> into) const;

  /// Where [at, at + size) lies, which must be inside the image; in order.
  std::vector<ImagePart> parts(std::uint64_t at, std::uint64_t size) const;

  /// Throws Error "NAME is not a whole squashfs image: CAUSE".
  [[noreturn]] void refuse(std::string_view cause) const;

 private:
  void open_pieces();
  [[noreturn]] void refuse_piece(std::string_view what, std::string_view piece) const;
  ImagePart part_at(std::uint64_t at, std::uint64_t size) const;

  int file_;
  std::string name_;
  std::uint64_t offset_;
  std::uint64_t size_;
  ImagePieces pieces_;
  std::vector<Fd> files_;  // of the pieces, by their numbers
};

}  // namespace mlctr::squashfs
