#include "containerfile/line.hpp"

#include <algorithm>

namespace mlctr::containerfile {

void Line::append(std::string_view piece, Place place) {
  if (piece.empty() && !pieces_.empty()) return;
  pieces_.push_back({text_.size(), place});
  text_ += piece;
}

Place Line::place_at(std::size_t offset) const {
  if (fixed_) return *fixed_;
  const auto after = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                      [](std::size_t wanted, const Piece& piece) { return wanted < piece.offset; });
  if (after == pieces_.begin()) return {};
  const Piece& piece = *std::prev(after);
  return {piece.place.line, piece.place.column + static_cast<std::uint32_t>(offset - piece.offset)};
}

}  // namespace mlctr::containerfile
