#include "registry/challenge.hpp"

#include <doctest/doctest.h>

#include <random>

using mlctr::Challenge;
using mlctr::parse_challenges;

TEST_CASE("a challenge as Docker Hub sends it") {
  const auto challenges = parse_challenges(
      "Bearer realm=\"https://auth.docker.io/token\",service=\"registry.docker.io\",scope=\"repository:library/"
      "python:pull\",error=\"invalid_token\"");
  REQUIRE(challenges.size() == 1);
  CHECK(challenges[0] == Challenge{"bearer",
                                   {{"realm", "https://auth.docker.io/token"},
                                    {"service", "registry.docker.io"},
                                    {"scope", "repository:library/python:pull"},
                                    {"error", "invalid_token"}}});
}

TEST_CASE("commas and escaped quotes belong to a quoted string") {
  const auto challenges =
      parse_challenges("BEARER Realm=\"https://h/t\" , SCOPE=\"repository:a:pull,push\", x=\"a\\\"b\\\\c\"");
  REQUIRE(challenges.size() == 1);
  CHECK(challenges[0].scheme == "bearer");
  CHECK(challenges[0].parameters.at("scope") == "repository:a:pull,push");
  CHECK(challenges[0].parameters.at("x") == "a\"b\\c");
}

TEST_CASE("several challenges in one header, with and without parameters") {
  const auto challenges =
      parse_challenges("Negotiate, Digest realm=\"d\", nonce=abc , Basic realm = \"b\",Bearer realm=\"r\"");
  REQUIRE(challenges.size() == 4);
  CHECK(challenges[0] == Challenge{"negotiate", {}});
  CHECK(challenges[1] == Challenge{"digest", {{"realm", "d"}, {"nonce", "abc"}}});
  CHECK(challenges[2] == Challenge{"basic", {{"realm", "b"}}});
  CHECK(challenges[3] == Challenge{"bearer", {{"realm", "r"}}});
}

TEST_CASE("a token68 does not hide the challenge behind it") {
  const auto challenges = parse_challenges("NTLM TlRMTVNTUAAC==, Bearer realm=\"r\"");
  REQUIRE(challenges.size() == 2);
  CHECK(challenges[1].parameters.at("realm") == "r");
}

TEST_CASE("of two equal parameters the first counts, and an unclosed quote is no value") {
  CHECK(parse_challenges("Bearer realm=\"a\",realm=\"b\"").at(0).parameters.at("realm") == "a");
  CHECK(parse_challenges("Bearer realm=\"a").at(0).parameters.empty());
}

TEST_CASE("what is no challenge gives none") {
  CHECK(parse_challenges("").empty());
  CHECK(parse_challenges(" ,, , ").empty());
  CHECK(parse_challenges("=\"x\"").empty());
}

TEST_CASE("thousands of challenges and parameters stay bounded") {
  std::string many;
  for (int i = 0; i < 5000; ++i) many += "S" + std::to_string(i) + " a=b,";
  CHECK(parse_challenges(many).size() <= 16);
  many = "Bearer ";
  for (int i = 0; i < 5000; ++i) many += "p" + std::to_string(i) + "=b,";
  CHECK(parse_challenges(many).at(0).parameters.size() <= 32);
}

TEST_CASE("any bytes are survived") {
  std::minstd_rand random(7);
  const std::string alphabet =
      "Bb=\", \\\t\x01\xff"
      "az09";
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    for (auto i = random() % 40; i > 0; --i) text += alphabet[random() % alphabet.size()];
    for (const Challenge& challenge : parse_challenges(text)) CHECK(!challenge.scheme.empty());
  }
}
