#include "base/path.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr {

bool is_below(const std::filesystem::path& path, const std::filesystem::path& directory) {
  if (!directory.is_absolute()) return false;
  const std::filesystem::path base = directory.lexically_normal(), inner = path.lexically_normal();
  // A trailing slash is an empty last component: not one to match.
  const auto base_end = base.has_filename() ? base.end() : std::prev(base.end());
  return std::mismatch(base.begin(), base_end, inner.begin(), inner.end()).first == base_end;
}

bool leads_out(const std::filesystem::path& path) {
  int depth = 0;
  for (const auto& part : path.relative_path()) {
    if (!part.empty() && part != ".") depth += part == ".." ? -1 : 1;
    if (depth < 0) return true;
  }
  return false;
}

std::filesystem::path absolute_path(const std::filesystem::path& path) {
  std::error_code error;
  std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (!error) return absolute;
  throw Error(fmt::format("cannot tell where {} is: the current directory was removed", printable(path.string(), 4096)),
              "cd to a directory that is there");
}

}  // namespace mlctr
