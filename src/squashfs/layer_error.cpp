#include "squashfs/layer_error.hpp"

#include <fmt/format.h>

namespace mlctr::squashfs {

std::string quote_name(std::string_view name) {
  constexpr std::size_t k_shown_bytes = 200;
  std::string quoted = "'";
  for (const char c : name.substr(0, k_shown_bytes)) {
    // A terminal obeys what it is shown: no escape sequence of a stranger may reach it.
    if (c >= 0x20 && c < 0x7f && c != '\\') {
      quoted += c;
    } else {
      quoted += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
    }
  }
  if (name.size() > k_shown_bytes) quoted += "...";
  return quoted + "'";
}

}  // namespace mlctr::squashfs
