#include <algorithm>

#include "squashfs/reader.hpp"

namespace mlctr::squashfs {
namespace {

constexpr std::uint32_t k_max_xattr_value_bytes = 65536;  // XATTR_SIZE_MAX of Linux
constexpr std::uint32_t k_max_xattr_entries = 65536;
constexpr std::uint64_t k_max_xattr_set_bytes = 1u << 20;  // Linux lists at most 64 KiB of names of one inode

std::string_view prefix_text(const ImageFile& image, std::uint16_t prefix) {
  switch (XattrPrefix{prefix}) {
    case XattrPrefix::user:
      return "user.";
    case XattrPrefix::trusted:
      return "trusted.";
    case XattrPrefix::security:
      return "security.";
  }
  image.refuse("an extended attribute has an unknown prefix");
}

std::string read_xattr_value(const ImageFile& image, MetadataCursor& cursor) {
  const auto size = cursor.read<std::uint32_t>();
  if (size > k_max_xattr_value_bytes) image.refuse("an extended attribute is too large");
  return cursor.read_text(size);
}

}  // namespace

XattrSet Reader::xattrs(std::uint32_t number) const {
  if (number == k_no_xattrs) return {};
  MetadataCursor id = xattrs_.ids.at(number);
  const auto position = MetadataPosition::of(id.read<std::uint64_t>());
  const auto count = id.read<std::uint32_t>();
  if (count > k_max_xattr_entries) image_.refuse("a file has too many extended attributes");
  XattrSet set;
  if (count == 0) return set;
  MetadataCursor cursor(image_, blocks_, xattrs_.sets, position);
  std::uint64_t set_bytes = 0;
  for (std::uint32_t i = 0; i < count; ++i) {
    const auto type = cursor.read<std::uint16_t>();
    std::string name(prefix_text(image_, type & ~k_xattr_out_of_line));
    name += cursor.read_text(std::min<std::size_t>(cursor.read<std::uint16_t>(), k_max_name_bytes));
    std::string value = read_xattr_value(image_, cursor);
    if ((type & k_xattr_out_of_line) != 0) {
      if (value.size() != sizeof(std::uint64_t)) image_.refuse("an extended attribute's place is broken");
      const auto place = get<std::uint64_t>(std::as_bytes(std::span(value)));
      MetadataCursor elsewhere(image_, blocks_, xattrs_.sets, MetadataPosition::of(place));
      value = read_xattr_value(image_, elsewhere);
    }
    set_bytes += name.size() + value.size();
    if (set_bytes > k_max_xattr_set_bytes) image_.refuse("a file's extended attributes are too large");
    set.emplace_back(std::move(name), std::move(value));
  }
  std::ranges::sort(set);
  return set;
}

}  // namespace mlctr::squashfs
