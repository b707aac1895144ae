#include "image/digest.hpp"

#include <doctest/doctest.h>

#include "tests/unit/thrown.hpp"

using namespace mlctr;
using mlctr::test::contains;
using mlctr::test::thrown_by;

namespace {

const std::string k_hex = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

std::string digest_complaint(std::string_view text) {
  return thrown_by<UsageError>([&] { Digest::parse(text); }).message;
}

}  // namespace

TEST_CASE("a digest is parsed and printed") {
  const Digest digest = Digest::parse("sha256:" + k_hex);
  CHECK(digest.algorithm() == HashAlgorithm::sha256);
  CHECK(digest.hex() == k_hex);
  CHECK(digest.to_string() == "sha256:" + k_hex);
  CHECK(digest.short_hex() == "e3b0c44298fc");
  CHECK(digest == Digest::of(""));
  CHECK(Digest::parse("sha512:" + k_hex + k_hex).to_string() == "sha512:" + k_hex + k_hex);
}

TEST_CASE("digests differ by algorithm and by hex") {
  CHECK(Digest::of("a") != Digest::of("b"));
  CHECK(Digest::from_hex(HashAlgorithm::sha512, k_hex + k_hex) != Digest::parse("sha256:" + k_hex));
}

TEST_CASE("what is wrong with a digest is said") {
  CHECK(contains(digest_complaint(""), "no ':'"));
  CHECK(contains(digest_complaint(k_hex), "no ':'"));
  CHECK(contains(digest_complaint(":" + k_hex), "no algorithm before"));
  CHECK(contains(digest_complaint("md5:d41d8cd98f00b204e9800998ecf8427e"), "'md5' is not supported"));
  CHECK(contains(digest_complaint("SHA256:" + k_hex), "'SHA256' is not supported"));
  CHECK(contains(digest_complaint("sha256:" + k_hex.substr(1)), "63 hex digits, sha256 has 64"));
  CHECK(contains(digest_complaint("sha512:" + k_hex), "64 hex digits, sha512 has 128"));
  CHECK(contains(digest_complaint("sha256:"), "0 hex digits"));
  CHECK(contains(digest_complaint("sha256:e3b0x" + k_hex.substr(5)), "character 12 is not"));
  CHECK(contains(digest_complaint("sha256:" + k_hex + "\n"), "character 72 is not"));
  CHECK(contains(digest_complaint("sha256:../../../../etc/passwd"), "character 8 is not"));
}

TEST_CASE("a digest in capitals is refused with the right form") {
  const auto thrown = thrown_by<UsageError>([] { Digest::parse("sha256:E3" + k_hex.substr(2)); });
  CHECK(contains(thrown.message, "must be lower-case"));
  CHECK(contains(thrown.hint, "sha256:" + k_hex));
  CHECK_FALSE(contains(thrown_by<UsageError>([] { Digest::parse("sha256:E3"); }).hint, "sha256:e3"));
}

TEST_CASE("a hostile digest can't drive the terminal") {
  CHECK_FALSE(contains(digest_complaint("\x1b[2J"), "\x1b"));
}
