// The bytes of one squashfs image inside a file: at its start, or at an offset (a SIF file's partition).
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace mlctr::squashfs {

class ImageFile {
 public:
  /// Borrows `file`, which must stay open. Throws where `offset` lies behind its end.
  ImageFile(int file, const std::filesystem::path& name, std::uint64_t offset);

  std::uint64_t size() const noexcept { return size_; }
  const std::string& name() const noexcept { return name_; }

  /// All of `into`; throws where the image ends before.
  void read(std::uint64_t at, std::span<std::byte> into) const;

  /// Throws Error "NAME is not a whole squashfs image: CAUSE".
  [[noreturn]] void refuse(std::string_view cause) const;

 private:
  int file_;
  std::string name_;
  std::uint64_t offset_;
  std::uint64_t size_;
};

}  // namespace mlctr::squashfs
