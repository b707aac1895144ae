#include "build/step_key.hpp"

#include <array>
#include <cstddef>
#include <span>

namespace mlctr::build {

StepKey& StepKey::add(std::string_view field) {
  add_number(field.size());
  hasher_.update(field);
  return *this;
}

StepKey& StepKey::add_number(std::uint64_t number) {
  std::array<std::byte, sizeof number> bytes;
  for (std::byte& byte : bytes) {
    byte = static_cast<std::byte>(number & 0xff);
    number >>= 8;
  }
  hasher_.update(bytes);
  return *this;
}

Digest StepKey::finish() {
  return Digest::from_hex(HashAlgorithm::sha256, hasher_.finish_hex());
}

}  // namespace mlctr::build
