#include "base/hash.hpp"

#include <openssl/evp.h>

#include <array>

#include "base/error.hpp"
#include "base/late_library.hpp"

namespace mlctr {
namespace {

struct LibCrypto {
  LateLibrary library{"libcrypto.so.3", "libssl3"};
  LateFunction<decltype(::EVP_DigestFinal_ex)> digest_final{library, "EVP_DigestFinal_ex"};
  LateFunction<decltype(::EVP_DigestInit_ex)> digest_init{library, "EVP_DigestInit_ex"};
  LateFunction<decltype(::EVP_DigestUpdate)> digest_update{library, "EVP_DigestUpdate"};
  LateFunction<decltype(::EVP_MD_CTX_free)> context_free{library, "EVP_MD_CTX_free"};
  LateFunction<decltype(::EVP_MD_CTX_new)> context_new{library, "EVP_MD_CTX_new"};
  LateFunction<decltype(::EVP_sha256)> sha256{library, "EVP_sha256"};
  LateFunction<decltype(::EVP_sha512)> sha512{library, "EVP_sha512"};
};

const LibCrypto& libcrypto() {
  static const LibCrypto loaded;
  return loaded;
}

}  // namespace

struct Hasher::Context {
  EVP_MD_CTX* evp = libcrypto().context_new();
  Context() = default;
  Context(const Context&) = delete;
  Context& operator=(const Context&) = delete;
  ~Context() { libcrypto().context_free(evp); }
};

Hasher::Hasher(HashAlgorithm algorithm) : context_(std::make_unique<Context>()) {
  const EVP_MD* md = algorithm == HashAlgorithm::sha256 ? libcrypto().sha256() : libcrypto().sha512();
  if (context_->evp == nullptr || libcrypto().digest_init(context_->evp, md, nullptr) != 1) {
    throw Error("cannot start a SHA-2 hash: libcrypto refused");
  }
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::span<const std::byte> bytes) {
  if (libcrypto().digest_update(context_->evp, bytes.data(), bytes.size()) != 1) throw Error("cannot hash: libcrypto refused");
}

std::string Hasher::finish_hex() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> value{};
  unsigned int size = 0;
  if (libcrypto().digest_final(context_->evp, value.data(), &size) != 1) throw Error("cannot hash: libcrypto refused");
  return to_hex(std::as_bytes(std::span(value).first(size)));
}

std::string to_hex(std::span<const std::byte> bytes) {
  constexpr std::string_view k_digits = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const std::byte byte : bytes) {
    hex += k_digits[std::to_integer<unsigned>(byte) >> 4];
    hex += k_digits[std::to_integer<unsigned>(byte) & 15u];
  }
  return hex;
}

}  // namespace mlctr
