#include "squashfs/image_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/error.hpp"
#include "base/file.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::array<char, 4> k_beginning{'h', 's', 'q', 's'};

// The image may have been opened by a link to it.
std::filesystem::path directory_of(int file) {
  std::error_code ignored;
  return std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", file), ignored).parent_path();
}

}  // namespace

ImageFile::ImageFile(int file, const std::filesystem::path& name, std::uint64_t offset)
    : file_(file), name_(name.string()), offset_(offset), size_(file_size(file, name_)) {
  if (offset > size_) refuse(fmt::format("it has {} bytes, and should begin at {}", size_, offset));
  size_ -= offset;
  if (offset == 0 && has_pieces(file, name_)) open_pieces();
}

void ImageFile::open_pieces() {
  pieces_ = read_pieces(file_, name_);
  size_ = pieces_.image_bytes;
  const Fd directory = open_file(directory_of(file_), O_PATH | O_DIRECTORY);
  std::vector<std::uint64_t> sizes;
  for (const std::string& piece : pieces_.names) {
    Fd file(::openat(directory.get(), piece.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    if (!file && errno != ENOENT && errno != ELOOP && errno != ENXIO) {
      throw SysError(fmt::format("cannot open {}, a part of {}", piece, name_));
    }
    struct stat status {};
    if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) refuse_piece("there is no", piece);
    sizes.push_back(static_cast<std::uint64_t>(status.st_size));
    files_.push_back(std::move(file));
  }
  for (const PieceSegment& segment : pieces_.segments) {
    const std::uint64_t size = sizes[segment.piece];
    if (segment.from > size || segment.size > size - segment.from) {
      refuse_piece("too short is the", pieces_.names[segment.piece]);
    }
  }
}

void ImageFile::refuse_piece(std::string_view what, std::string_view piece) const {
  throw Error(fmt::format("{} lacks a part of itself: {} {} beside it", name_, what, piece),
              "pull the image again; to copy one out of the store, `mlctr export` writes it as one file");
}

ImagePart ImageFile::part_at(std::uint64_t at, std::uint64_t size) const {
  const auto next = std::ranges::upper_bound(pieces_.segments, at, {}, &PieceSegment::at);
  if (next != pieces_.segments.begin()) {
    const PieceSegment& segment = *std::prev(next);
    if (const std::uint64_t behind = at - segment.at; behind < segment.size) {
      return {.file = files_[segment.piece].get(),
              .at = segment.from + behind,
              .size = std::min(size, segment.size - behind),
              .piece = pieces_.names[segment.piece]};
    }
  }
  const std::uint64_t end = next == pieces_.segments.end() ? at + size : next->at;
  return {.file = file_, .at = offset_ + at, .size = std::min(size, end - at)};
}

std::vector<ImagePart> ImageFile::parts(std::uint64_t at, std::uint64_t size) const {
  std::vector<ImagePart> found;
  for (std::uint64_t done = 0; done < size; done += found.back().size) {
    found.push_back(part_at(at + done, size - done));
  }
  return found;
}

void ImageFile::read(std::uint64_t at, std::span<std::byte> into) const {
  if (at > size_ || into.size() > size_ - at) refuse("it ends too early");
  for (std::size_t done = 0; done < into.size();) {
    const ImagePart part = part_at(at + done, into.size() - done);
    if (read_at(part.file, into.subspan(done, part.size), part.at, name_) != part.size) refuse("it ends too early");
    done += part.size;
  }
  // Of one in pieces the file has another.
  if (files_.empty()) return;
  for (; at < k_beginning.size() && !into.empty(); into = into.subspan(1))
    into[0] = static_cast<std::byte>(k_beginning[at++]);
}

void ImageFile::refuse(std::string_view cause) const {
  throw Error(fmt::format("{} is not a whole squashfs image: {}", name_, cause),
              "it may have been copied or downloaded only in part: fetch it again");
}

}  // namespace mlctr::squashfs
