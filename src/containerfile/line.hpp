// An instruction's line with its continuations joined, which still knows where each byte came from.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerfile/place.hpp"

namespace mlctr::containerfile {

/// Neither copied nor moved while views into its text are about.
class Line {
 public:
  /// `fixed` is the place of all of it: an ONBUILD trigger has no lines of its own.
  explicit Line(std::optional<Place> fixed = {}) : fixed_(fixed) {}

  void append(std::string_view piece, Place place);

  const std::string& text() const noexcept { return text_; }

  /// Of the first byte of `part`, a view into text() that may be empty.
  Place place_of(std::string_view part) const { return place_at(static_cast<std::size_t>(part.data() - text_.data())); }
  Place place_at(std::size_t offset) const;

  Place place() const { return place_at(0); }

 private:
  struct Piece {
    std::size_t offset;
    Place place;
  };

  std::string text_;
  std::vector<Piece> pieces_;
  std::optional<Place> fixed_;
};

}  // namespace mlctr::containerfile
