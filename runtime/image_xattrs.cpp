#include "runtime/image_xattrs.hpp"

#include <algorithm>

#include "base/error.hpp"
#include "squashfs/layer_marks.hpp"

namespace mlctr::runtime {
namespace {

constexpr std::uint32_t k_looked_at_sets = 4096;
constexpr std::size_t k_looked_at_bytes = 1u << 20;

}  // namespace

bool ImageXattrs::is_shown(std::string_view name, OverlayMarks marks) {
  if (marks == OverlayMarks::shown && name == squashfs::k_opaque_xattr) return true;
  return name.starts_with("user.") && !name.starts_with("user.overlay.");
}

bool ImageXattrs::any() const {
  std::call_once(looked_, [this] { any_ = look_for_one(); });
  return any_;
}

bool ImageXattrs::look_for_one() const {
  std::size_t bytes = 0;
  for (std::uint32_t number = 0; number < image_.xattr_set_count(); ++number) {
    if (number == k_looked_at_sets || bytes > k_looked_at_bytes) return true;
    try {
      for (const auto& [name, value] : image_.xattrs(number)) {
        if (shows(name)) return true;
        bytes += name.size() + value.size();
      }
    } catch (const Error&) {
      return true;  // a broken set: its file's reader shall hear of it
    }
  }
  return false;
}

squashfs::XattrSet ImageXattrs::of(std::uint32_t number) const {
  squashfs::XattrSet set = image_.xattrs(number);
  std::erase_if(set, [this](const auto& xattr) { return !shows(xattr.first); });
  return set;
}

}  // namespace mlctr::runtime
