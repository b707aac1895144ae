// Texts each with a NUL behind it, as /proc/PID/environ has variables.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace mlctr {

/// The last one's NUL may be missing; empty ones are left out.
inline std::vector<std::string> split_at_nul(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const std::string_view part = text.substr(0, text.find('\0'));
    if (!part.empty()) parts.emplace_back(part);
    text.remove_prefix(std::min(part.size() + 1, text.size()));
  }
  return parts;
}

}  // namespace mlctr
