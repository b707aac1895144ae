#include "containerfile/glob.hpp"

#include "containerfile/wildcard.hpp"

namespace mlctr::containerfile {

bool has_wildcard(std::string_view pattern) {
  for (std::size_t at = 0; at < pattern.size(); ++at) {
    if (pattern[at] == '\\') {
      ++at;
    } else if (pattern[at] == '*' || pattern[at] == '?' || pattern[at] == '[') {
      return true;
    }
  }
  return false;
}

bool matches_glob(std::string_view pattern, std::string_view name) {
  return Wildcard::glob(pattern).matches(name);
}

}  // namespace mlctr::containerfile
