// Base64 (RFC 4648, section 4) for credentials.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace mlctr {

std::string encode_base64(std::string_view bytes);

/// Absent where `text` is no base64. Padding may be left out, as some hand-written files do.
std::optional<std::string> decode_base64(std::string_view text);

}  // namespace mlctr
