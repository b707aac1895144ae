// What a server says about its refusal, made fit for a message: hostile text.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace mlctr {

/// More of an error's body is not read.
inline constexpr std::size_t k_max_error_body_bytes = 64 * 1024;

/// The message of a JSON error body (OCI's errors[].message, OAuth2's error_description, Docker Hub's details); empty
/// where there is none. Printable and at most 200 characters; words as long as tokens are left out.
std::string server_message(std::string_view body);

}  // namespace mlctr
