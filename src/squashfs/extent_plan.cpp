#include "squashfs/extent_plan.hpp"

#include <algorithm>

#include "base/error.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::uint64_t k_page_bytes = 4096;
constexpr std::uint64_t k_gap_bytes = 1u << 20;  // bytes copied about as fast as another copy begins

std::uint64_t page_begin(std::uint64_t at) {
  return at / k_page_bytes * k_page_bytes;
}
std::uint64_t page_end(std::uint64_t at) {
  return page_begin(at + k_page_bytes - 1);
}

}  // namespace

void ExtentPlan::need(std::uint64_t start, std::uint64_t size) {
  if (size == 0) return;
  const std::uint64_t from = page_begin(start);
  extents_.push_back({.from = from, .size = page_end(start + size) - from});
}

std::uint64_t ExtentPlan::place(std::uint64_t at) {
  std::ranges::sort(extents_, {}, &Extent::from);
  std::vector<Extent> joined;
  for (const Extent& extent : extents_) {
    if (!joined.empty() && extent.from < joined.back().from + joined.back().size + k_gap_bytes) {
      Extent& last = joined.back();
      last.size = std::max(last.size, extent.from + extent.size - last.from);
    } else {
      joined.push_back(extent);
    }
  }
  extents_ = std::move(joined);
  for (Extent& extent : extents_) {
    extent.to = at;
    at += extent.size;
  }
  return at;
}

std::uint64_t ExtentPlan::moved(std::uint64_t start) const {
  const auto after = std::ranges::upper_bound(extents_, start, {}, &Extent::from);
  if (after == extents_.begin() || start - std::prev(after)->from >= std::prev(after)->size) {
    throw Error("a block of a layer has no place in the image");
  }
  return std::prev(after)->to + (start - std::prev(after)->from);
}

}  // namespace mlctr::squashfs
