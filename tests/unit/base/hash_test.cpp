#include "base/hash.hpp"

#include <doctest/doctest.h>

#include <array>

using namespace mlctr;

namespace {

std::string hash(HashAlgorithm algorithm, std::string_view text) {
  Hasher hasher(algorithm);
  hasher.update(text);
  return hasher.finish_hex();
}

}  // namespace

TEST_CASE("hashes are those of FIPS 180-4's examples") {
  CHECK(hash(HashAlgorithm::sha256, "") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(hash(HashAlgorithm::sha256, "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(
      hash(HashAlgorithm::sha512, "abc") ==
      "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e"
      "2a9ac94fa54ca49f");
}

TEST_CASE("a hash does not depend on how its bytes arrive") {
  Hasher hasher;
  for (int i = 0; i < 1000; ++i) hasher.update("aaaaaaaaaa");
  for (int i = 0; i < 99; ++i) hasher.update(std::string(10'000, 'a'));
  CHECK(hasher.finish_hex() ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");  // FIPS: a million "a"
}

TEST_CASE("a hasher goes on after a move") {
  Hasher first;
  first.update("a");
  Hasher second = std::move(first);
  second.update("bc");
  CHECK(second.finish_hex() == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST_CASE("hex is lower-case with leading zeros") {
  constexpr std::array bytes{std::byte{0x00}, std::byte{0x0f}, std::byte{0xa0}, std::byte{0xff}};
  CHECK(to_hex(bytes) == "000fa0ff");
}
