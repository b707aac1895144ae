#include "image/digest.hpp"

#include <fmt/format.h>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

constexpr std::string_view k_hex_digits = "0123456789abcdef";

std::size_t hex_length(HashAlgorithm algorithm) {
  return algorithm == HashAlgorithm::sha256 ? 64 : 128;
}

[[noreturn]] void fail(std::string_view text, std::string_view why, std::string hint = {}) {
  if (hint.empty()) hint = "a digest is sha256: and 64 hex digits, as `mlctr inspect` or the registry's page shows it";
  throw UsageError(fmt::format("invalid digest '{}': {}", printable(text), why), std::move(hint));
}

HashAlgorithm parse_algorithm(std::string_view text, std::size_t colon) {
  if (colon == std::string_view::npos) fail(text, "there is no ':' after an algorithm");
  const std::string_view name = text.substr(0, colon);
  if (name == "sha256") return HashAlgorithm::sha256;
  if (name == "sha512") return HashAlgorithm::sha512;
  if (name.empty()) fail(text, "there is no algorithm before the ':'");
  fail(text, fmt::format("the algorithm '{}' is not supported (sha256 and sha512 are)", printable(name)));
}

}  // namespace

Digest Digest::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  const HashAlgorithm algorithm = parse_algorithm(text, colon);
  const std::string_view hex = text.substr(colon + 1);
  // Before the length: a digest cut or joined in pasting shows where.
  const std::size_t odd = hex.find_first_not_of(k_hex_digits);
  if (odd != std::string_view::npos) {
    // Two spellings would be two names of one blob in the store.
    if (lowered(hex).find_first_not_of(k_hex_digits) == std::string::npos) {
      fail(text, "its hex digits must be lower-case",
           hex.size() == hex_length(algorithm) ? fmt::format("did you mean {}?", printable(lowered(text))) : "");
    }
    fail(text, fmt::format("character {} is not a hex digit", colon + odd + 2));
  }
  if (hex.size() != hex_length(algorithm)) {
    fail(text,
         fmt::format("it has {} hex digits, {} has {}", hex.size(), text.substr(0, colon), hex_length(algorithm)));
  }
  return Digest(algorithm, std::string(hex));
}

Digest Digest::from_hex(HashAlgorithm algorithm, std::string hex) {
  return Digest(algorithm, std::move(hex));
}

Digest Digest::of(std::string_view bytes) {
  Hasher hasher;
  hasher.update(bytes);
  return Digest(HashAlgorithm::sha256, hasher.finish_hex());
}

std::string_view Digest::algorithm_name() const noexcept {
  return algorithm_ == HashAlgorithm::sha256 ? "sha256" : "sha512";
}

std::string Digest::to_string() const {
  return fmt::format("{}:{}", algorithm_name(), hex_);
}

std::string blob_path(const Digest& digest) {
  return fmt::format("blobs/{}/{}", digest.algorithm_name(), digest.hex());
}

}  // namespace mlctr
