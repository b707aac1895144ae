#include "registry/netrc.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include "tests/unit/thrown.hpp"

using namespace mlctr;
using mlctr::test::contains;
using mlctr::test::Thrown;
using mlctr::test::thrown_by;

namespace {

std::string found_in_netrc(std::string_view text, const std::string& registry, const std::string& user = {}) {
  const auto credential = Netrc::parse(text).find({.registry = registry, .repository = "x", .user = user});
  return credential ? credential->username + ":" + credential->password : "none";
}

Thrown refusal(std::string_view text) {
  return thrown_by([&] { found_in_netrc(text, "r.example"); });
}

// enroot's documentation (doc/cmd/import.md), with made-up secrets.
constexpr std::string_view k_enroot = R"(# NVIDIA GPU Cloud (both endpoints are required)
machine nvcr.io login $oauthtoken password nv-token
machine authn.nvidia.com login $oauthtoken password nv-token

# DockerHub
machine registry-1.docker.io login hubber password hub-pass

# Google Artifact Registry with OAuth
machine us-docker.pkg.dev login oauth2accesstoken password $(gcloud auth print-access-token)
# Azure Container Registry with ACR refresh token
machine myregistry.azurecr.io login 00000000-0000-0000-0000-000000000000 password $(az acr login --name machine --expose-token password  | tr -d '"')
machine last.example login me password end
)";

}  // namespace

TEST_CASE("enroot's own examples") {
  CHECK(found_in_netrc(k_enroot, "nvcr.io") == "$oauthtoken:nv-token");
  CHECK(found_in_netrc(k_enroot, "docker.io") == "hubber:hub-pass");
  CHECK(found_in_netrc(k_enroot, "last.example") == "me:end");  // the words of the commands above are not entries
  CHECK(found_in_netrc(k_enroot, "ghcr.io") == "none");
  const Thrown thrown = thrown_by([] { found_in_netrc(k_enroot, "us-docker.pkg.dev"); });
  CHECK(contains(thrown.message, "line 9: the password is a shell command, which mlctr does not run"));
  CHECK(contains(thrown.hint, "password $TOKEN"));
  CHECK_THROWS_AS(found_in_netrc(k_enroot, "myregistry.azurecr.io"), Error);
}

TEST_CASE("entries may lie on one line or many, in any order of words") {
  CHECK(found_in_netrc("machine\nr.example\n\tlogin a\n\tpassword b\n", "r.example") == "a:b");
  CHECK(found_in_netrc("machine r.example password b account x login a", "r.example") == "a:b");
  CHECK(found_in_netrc("machine r.example login a password b\r\nmachine s.example login c password d\r\n",
                       "s.example") == "c:d");
  CHECK(found_in_netrc("", "r.example") == "none");
  CHECK(found_in_netrc("machine r.example login a", "r.example") == "none");  // nothing to show at the door
}

TEST_CASE("the host with its port comes before the host, then the default") {
  constexpr std::string_view text =
      "machine r.example login host password 1\nmachine r.example:5000 login port password 2\ndefault login any "
      "password 3\n";
  CHECK(found_in_netrc(text, "r.example") == "host:1");
  CHECK(found_in_netrc(text, "r.example:5000") == "port:2");
  CHECK(found_in_netrc(text, "r.example:6000") == "host:1");
  CHECK(found_in_netrc(text, "R.Example") == "host:1");
  CHECK(found_in_netrc(text, "other.example") == "any:3");
  CHECK(found_in_netrc("machine [::1] login six password 6", "[::1]:5000") == "six:6");
  CHECK(found_in_netrc("machine [::1] login six password 6", "[::2]") == "none");
}

TEST_CASE("the user that is asked for") {
  constexpr std::string_view text = "machine r.example login a password 1\nmachine r.example login b password 2\n";
  CHECK(found_in_netrc(text, "r.example") == "a:1");
  CHECK(found_in_netrc(text, "r.example", "b") == "b:2");
  CHECK(found_in_netrc(text, "r.example", "c") == "none");
}

TEST_CASE("quotes, hashes and macros") {
  CHECK(found_in_netrc(R"(machine r.example login "a b" password "x \"y\" \\ \t#")", "r.example") ==
        "a b:x \"y\" \\ \t#");
  CHECK(found_in_netrc("machine r.example login a password p#1", "r.example") == "a:p#1");
  CHECK(found_in_netrc("machine r.example login a password #1", "r.example") == "a:#1");
  CHECK(found_in_netrc("  # machine r.example login no password no\nmachine r.example login a password b",
                       "r.example") == "a:b");
  CHECK(found_in_netrc("macdef init\nmachine r.example login no password no\n\nmachine r.example login a password b",
                       "r.example") == "a:b");
}

TEST_CASE("passwords from the environment, and nothing else is put in") {
  ::setenv("MLCTR_TEST_SECRET", "s $HOME `id`", 1);
  ::unsetenv("MLCTR_TEST_UNSET");
  CHECK(found_in_netrc("machine r.example login a password $MLCTR_TEST_SECRET", "r.example") ==
        "a:s $HOME `id`");  // once, not again
  CHECK(found_in_netrc("machine r.example login a password ${MLCTR_TEST_SECRET}-x login b", "r.example") ==
        "b:s $HOME `id`-x");
  CHECK(found_in_netrc("machine r.example login $MLCTR_TEST_SECRET password p", "r.example") == "$MLCTR_TEST_SECRET:p");
  CHECK(found_in_netrc("machine r.example login a password p$MLCTR_TEST_SECRET", "r.example") ==
        "a:p$MLCTR_TEST_SECRET");  // as enroot
  CHECK(found_in_netrc(R"(machine r.example login a password "$MLCTR_TEST_SECRET")", "r.example") ==
        "a:$MLCTR_TEST_SECRET");
  const Thrown unset = refusal("\nmachine r.example login a password $MLCTR_TEST_UNSET");
  CHECK(contains(unset.message,
                 "line 2: the password is in the environment variable MLCTR_TEST_UNSET, which is not set"));
  CHECK(contains(unset.hint, "double quotes"));
  for (const std::string expression : {"$(id)", "$`id`", "$MLCTR_TEST_SECRET;id", "$", "${A", "${A:-b}", "$1", "${}",
                                       "$MLCTR_TEST_SECRET$(id)", "$$"}) {
    CAPTURE(expression);
    CHECK(contains(refusal("machine r.example login a password " + expression).message, "does not run"));
  }
  ::unsetenv("MLCTR_TEST_SECRET");
}

TEST_CASE("what is wrong is said with its line, never with a secret") {
  CHECK(contains(refusal("machine").message, "line 1: nothing follows 'machine'"));
  CHECK(contains(refusal("machine r.example login a password").message, "line 1: nothing follows 'password'"));
  CHECK(contains(refusal("login a").message, "line 1: expected 'machine'"));
  CHECK(contains(refusal("\n\nmachine r.example password \"abc").message, "line 3: a double quote is not closed"));
  const Thrown two_words = refusal("machine r.example\nlogin a password hunter two");
  CHECK(contains(two_words.message, "line 2: a word that is none of"));
  CHECK_FALSE(contains(two_words.message + two_words.hint, "two "));
  CHECK(contains(two_words.hint, "double quotes"));
}
