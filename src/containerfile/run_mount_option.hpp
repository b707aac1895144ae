// RUN --mount's value: "type=cache,target=/root/.cache". Throws SyntaxError with the field's place.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "containerfile/place.hpp"
#include "containerfile/run_mount.hpp"

namespace mlctr::containerfile {

/// What a field's value is worth: without quotes, with its variables.
using ExpandWord = std::function<std::string(const Word& value)>;

RunMount parse_mount(const Word& option, std::string_view filename, const ExpandWord& expand);

/// The stage or image after "from="; it may have no variables.
std::optional<Word> mount_source(const Word& option);

/// What can be told before the variables are known.
void check_mount(const Word& option, std::string_view filename);

}  // namespace mlctr::containerfile
