// A content digest as OCI writes it: the name and the check of every byte that comes from a registry.
//   digest ::= "sha256:" 64 hex | "sha512:" 128 hex      (OCI image-spec, descriptor.md; lower-case hex only)
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/hash.hpp"

namespace mlctr {

class Digest {
 public:
  /// Throws UsageError that says what is wrong with `text`.
  static Digest parse(std::string_view text);
  /// From a finished hash; `hex` is trusted.
  static Digest from_hex(HashAlgorithm algorithm, std::string hex);
  /// The SHA-256 of `bytes`.
  static Digest of(std::string_view bytes);

  HashAlgorithm algorithm() const noexcept { return algorithm_; }
  const std::string& hex() const noexcept { return hex_; }
  std::string_view algorithm_name() const noexcept;
  /// "sha256:…", the whole of it.
  std::string to_string() const;
  /// The first 12 hex digits, for lines people read.
  std::string short_hex() const { return hex_.substr(0, 12); }

  auto operator<=>(const Digest&) const = default;

 private:
  Digest(HashAlgorithm algorithm, std::string hex) : algorithm_(algorithm), hex_(std::move(hex)) {}
  HashAlgorithm algorithm_;
  std::string hex_;
};

/// Where an OCI layout has the blob, below its directory.
std::string blob_path(const Digest& digest);

}  // namespace mlctr
