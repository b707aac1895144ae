// Go's filepath.Match, by which COPY's and ADD's sources choose files: * and ? stop at "/", [a-z] and [^a-z] are
// classes, "\" takes the next character as it is.
#pragma once

#include <string_view>

namespace mlctr::containerfile {

bool has_wildcard(std::string_view pattern);

/// Whether `pattern` matches the whole of `name`. Throws Error where the pattern is malformed.
bool matches_glob(std::string_view pattern, std::string_view name);

}  // namespace mlctr::containerfile
