// The extended attributes of an image that its mount shows.
#pragma once

#include <cstdint>
#include <mutex>
#include <string_view>

#include "squashfs/reader.hpp"

namespace mlctr::runtime {

/// shown: those by which a layer tells the overlay that it is a part of what it hides.
enum class OverlayMarks { hidden, shown };

/// "user." but not "user.overlay.", by which an image would steer the overlay above it. The others (capabilities,
/// trusted.) mean nothing in a user namespace's nosuid mount. Thread-safe. Borrows the reader.
class ImageXattrs {
 public:
  explicit ImageXattrs(const squashfs::Reader& image, OverlayMarks marks = OverlayMarks::hidden)
      : image_(image), marks_(marks) {}

  /// Whether any file has one. Finds out at the first call, by looking at a bounded part of the table: where that is
  /// not all of it, the answer is yes.
  bool any() const;

  /// `number` is StoredInode::xattrs.
  squashfs::XattrSet of(std::uint32_t number) const;

  bool shows(std::string_view name) const { return is_shown(name, marks_); }
  static bool is_shown(std::string_view name, OverlayMarks marks = OverlayMarks::hidden);

 private:
  bool look_for_one() const;

  const squashfs::Reader& image_;
  const OverlayMarks marks_;
  mutable std::once_flag looked_;
  mutable bool any_ = false;
};

}  // namespace mlctr::runtime
