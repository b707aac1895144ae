// A line of comma-separated fields (RFC 4180), as --mount has them: a field between double quotes may hold commas.
#pragma once

#include <string_view>
#include <vector>

#include "containerfile/place.hpp"

namespace mlctr::containerfile {

/// Each with its place. Throws SyntaxError.
std::vector<Word> csv_fields(const Word& line, std::string_view filename);

}  // namespace mlctr::containerfile
