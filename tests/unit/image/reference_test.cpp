#include "image/reference.hpp"

#include <doctest/doctest.h>

#include <regex>
#include <vector>

#include "tests/unit/thrown.hpp"

using namespace mlctr;
using mlctr::test::contains;
using mlctr::test::Thrown;
using mlctr::test::thrown_by;

namespace {

const std::string k_digest = "sha256:" + std::string(64, 'f');

std::string canonical(std::string_view text) {
  return ImageReference::parse(text).to_string();
}
std::string familiar(std::string_view text) {
  return ImageReference::parse(text).familiar();
}

Thrown reference_refusal(std::string_view text) {
  return thrown_by<UsageError>([&] { ImageReference::parse(text); });
}

struct Refusal {
  std::string text;
  int character;
  std::string_view why;
};

// The name grammar of distribution/reference (regexp.go), by an engine that shares nothing with our parser.
bool is_name_by_regex(const std::string& name) {
  static const std::regex pattern("[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\\.|_|__|-+)[a-z0-9]+)*)*");
  return std::regex_match(name, pattern);
}

bool is_name_by_parser(const std::string& name) {
  try {
    return ImageReference::parse("r.example/" + name).repository == name;
  } catch (const UsageError&) {
    return false;
  }
}

}  // namespace

TEST_CASE("a lone name is Docker Hub's library, without a tag the latest") {
  const ImageReference reference = ImageReference::parse("python:3.8");
  CHECK(reference.user.empty());
  CHECK(reference.registry == "docker.io");
  CHECK(reference.repository == "library/python");
  CHECK(reference.tag == "3.8");
  CHECK_FALSE(reference.digest);
  CHECK(canonical("python") == "docker.io/library/python:latest");
  CHECK(canonical("pytorch/pytorch") == "docker.io/pytorch/pytorch:latest");
}

TEST_CASE("Docker Hub has one name") {
  for (const std::string text :
       {"python", "library/python", "docker.io/python", "docker.io/library/python", "index.docker.io/python",
        "registry-1.docker.io/library/python", "docker://python", "docker://docker.io#python", "Docker.IO/python"}) {
    CAPTURE(text);
    CHECK(canonical(text) == "docker.io/library/python:latest");
    CHECK(familiar(text) == "python:latest");
  }
}

// What follows is from the test tables of distribution/reference (reference_test.go, normalize_test.go).
TEST_CASE("registries are told from repositories as distribution does") {
  CHECK(canonical("test.com:5000") == "docker.io/library/test.com:5000");
  CHECK(canonical("test.com/repo:tag") == "test.com/repo:tag");
  CHECK(canonical("test:5000/repo") == "test:5000/repo:latest");
  CHECK(canonical("test:5000/repo:tag@" + k_digest) == "test:5000/repo:tag@" + k_digest);
  CHECK(canonical("localhost/library/debian") == "localhost/library/debian:latest");
  CHECK(canonical("127.0.0.1:5000/debian") == "127.0.0.1:5000/debian:latest");
  CHECK(canonical("192.168.0.1") == "docker.io/library/192.168.0.1:latest");
  CHECK(canonical("sub-dom1.foo.com/bar/baz/quux:some-long-tag") == "sub-dom1.foo.com/bar/baz/quux:some-long-tag");
  CHECK(canonical("b.gcr.io/test.example.com/my-app:test.example.com") ==
        "b.gcr.io/test.example.com/my-app:test.example.com");
  CHECK(canonical("xn--n3h.com/myimage:xn--n3h.com") == "xn--n3h.com/myimage:xn--n3h.com");
  CHECK(canonical("foo/foo_bar.com:8080") == "docker.io/foo/foo_bar.com:8080");
  CHECK(canonical("foo_bar.com:8080") == "docker.io/library/foo_bar.com:8080");
  CHECK(canonical("[2001:db8::1]/repo") == "[2001:db8::1]/repo:latest");
  CHECK(canonical("[2001:DB8::1]:5000/repo:tag") == "[2001:db8::1]:5000/repo:tag");
  CHECK(canonical("lowercase:Uppercase") == "docker.io/library/lowercase:Uppercase");
  CHECK(canonical("a/" + std::string(64, 'a')) == "docker.io/a/" + std::string(64, 'a') + ":latest");
  CHECK(canonical("example.com/" + std::string(255, 'a') + ":tag").size() == 12 + 255 + 4);
}

TEST_CASE("enroot's forms") {
  const ImageReference reference = ImageReference::parse("docker://$oauthtoken@nvcr.io#nvidia/pytorch:25.06-py3");
  CHECK(reference.user == "$oauthtoken");
  CHECK(reference.to_string() == "nvcr.io/nvidia/pytorch:25.06-py3");
  CHECK(canonical("nvcr.io#nvidia/pytorch") == "nvcr.io/nvidia/pytorch:latest");
  CHECK(canonical("myregistry#team/image:1") == "myregistry#team/image:1");  // or it would be Docker Hub's myregistry
  CHECK(canonical(familiar("y#sha256:3.8")) == "y#sha256:3.8");
  CHECK(canonical("localhost:5000#a") == "localhost:5000/a:latest");
  CHECK(ImageReference::parse("alice@example.com@r.example#a").user == "alice@example.com");
  CHECK(ImageReference::parse("robot$ci@harbor.example/p/a:1").user == "robot$ci");
  CHECK(ImageReference::parse("alice@python:3.8").repository == "library/python");
}

TEST_CASE("tag and digest") {
  const ImageReference both = ImageReference::parse("busybox:1.36@" + k_digest);
  CHECK(both.tag == "1.36");
  CHECK(both.selector() == k_digest);
  CHECK(both.familiar() == "busybox:1.36@" + k_digest);
  const ImageReference pinned = ImageReference::parse("busybox@" + k_digest);
  CHECK(pinned.tag.empty());
  CHECK(pinned.to_string() == "docker.io/library/busybox@" + k_digest);
  CHECK(ImageReference::parse("busybox").selector() == "latest");
  const ImageReference with_user = ImageReference::parse("me@r.example/a@" + k_digest);
  CHECK(with_user.user == "me");
  CHECK(with_user.digest->to_string() == k_digest);
  CHECK(ImageReference::parse("a@sha512:" + std::string(128, '0')).digest->algorithm() == HashAlgorithm::sha512);
}

TEST_CASE("the familiar form is as short as can be typed again") {
  CHECK(familiar("docker.io/library/foo/bar") == "library/foo/bar:latest");
  CHECK(familiar("docker.io/dmcgowan/myapp") == "dmcgowan/myapp:latest");
  CHECK(familiar("127.0.0.1:8000/private/moonbase:1") == "127.0.0.1:8000/private/moonbase:1");
  for (const std::string text :
       {"docker.io/foo.bar/x", "docker.io/localhost/x", "docker.io/library/foo.bar",
        "docker.io/library/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}) {
    CAPTURE(text);
    CHECK(canonical(familiar(text)) == canonical(text));
  }
}

TEST_CASE("a repository's name is what the grammar says, by an independent engine") {
  // All names of up to five of these characters: separators in every order, at every place.
  const std::string alphabet = "a0._-/A";
  std::size_t valid = 0;
  for (std::size_t length = 1; length <= 5; ++length) {
    std::vector<std::size_t> digits(length, 0);
    for (bool more = true; more;) {
      std::string name;
      for (const std::size_t digit : digits) name += alphabet[digit];
      const bool expected = is_name_by_regex(name);
      valid += expected ? 1 : 0;
      if (is_name_by_parser(name) != expected) FAIL_CHECK("differs on " << name);
      more = false;
      for (std::size_t& digit : digits) {
        digit = (digit + 1) % alphabet.size();
        if (digit != 0) {
          more = true;
          break;
        }
      }
    }
  }
  CHECK(valid > 500);
}

TEST_CASE("what is wrong is said, and at which character") {
  const Refusal refusals[] = {
      {"Python:3.8", 1, "'P' can't be in the repository's name"},
      {"docker/Docker", 8, "'D'"},
      {"test:5000/Uppercase/lowercase:tag", 11, "'U'"},
      {"docker://ghcr.io/Owner/x", 18, "'O'"},
      {"python:3.8:1", 11, "second tag"},
      {"python:", 8, "the tag is empty"},
      {"python:3 8", 9, "' ' can't be in the tag"},
      {"python:3.8\n", 11, "'\\n'"},
      {"python:-x", 8, "can't begin with '-'"},
      {"python:.x", 8, "can't begin with '.'"},
      {"a:" + std::string(129, 'x'), 131, "longer than 128"},
      {"a:b/c", 3, "the port"},
      {"r.example/a:b/c", 14, "'/' can't be in the tag"},
      {":justtag", 1, "name is missing"},
      {"@" + k_digest, 1, "name is missing"},
      {"ghcr.io/", 9, "name is missing"},
      {"nvcr.io#", 9, "name is missing"},
      {"#a", 1, "registry's name is empty"},
      {"docker///docker", 8, "empty"},
      {"docker/", 8, "empty"},
      {"-docker", 1, "begins or ends with '-'"},
      {"docker-/docker", 7, "begins or ends with '-'"},
      {"dock..er/docker", 6, "empty part"},  // a registry's, by its dots
      {"x/dock..er", 7, "'..'"},
      {"x/dock_.er", 7, "'_.'"},
      {"x/dock___er", 7, "'___'"},
      {"-docker.io/x", 1, "begins or ends with '-'"},
      {"docker-.io/x", 7, "begins or ends with '-'"},
      {"foo_bar.com/x", 4, "'_' can't be in the registry"},
      {"host:/x", 6, "port"},
      {"host:99999/x", 6, "port"},
      {"host:0/x", 6, "port"},
      {"a:b:c/x", 3, "port"},
      {"[fe80::1%eth0]:5000/repo", 1, "no IPv6 address"},
      {"[::1/repo", 1, "not closed"},
      {"[::1]x/repo", 6, "'x' can't be after"},
      {"[::1]:5000", 11, "no repository"},
      {"fc00::1:5000/debian", 6, "port"},
      {"repo@sha256:ffff", 6, "4 hex digits"},
      {"repo@sha256", 6, "no ':'"},
      {"repo@md5:" + std::string(32, 'f'), 6, "'md5' is not supported"},
      {"repo:1@" + std::string(64, 'f'), 8, "no ':'"},
      {"repo@", 6, "no ':'"},
      {"r.example/a@latest", 13, "is no digest"},
      {std::string(64, 'a'), 1, "an image's ID"},
      {"https://ghcr.io/a/b", 1, "no https://"},
      {"dockerd://a", 1, "asks a daemon"},
      {"ftp://a", 1, "no kind of source"},
      {"@python", 1, "no user name"},
      {"al ice@python", 3, "' ' can't be in the user name"},
      {"x/" + std::string(256, 'a'), 1, "longer than 255"},
      {"x/caf\xc3\xa9", 6, "'é' can't be"},
      {"r.example/a:\xc3\xa9\xc3\xa9", 13, "'é' can't be in the tag"},
      {"../x", 1, "empty part"},
      {std::string("a\0b", 3), 2, "'\\x00'"},
  };
  for (const Refusal& expected : refusals) {
    CAPTURE(expected.text);
    const std::string message = reference_refusal(expected.text).message;
    CAPTURE(message);
    CHECK(contains(message, "character " + std::to_string(expected.character) + ": "));
    CHECK(contains(message, expected.why));
  }
  CHECK(contains(reference_refusal("").message, "empty"));
  CHECK(contains(reference_refusal(std::string(5000, 'a')).message, "longer than 2048"));
}

TEST_CASE("characters are counted as people count them") {
  CHECK(contains(reference_refusal("r.example/a:x\xc3\xa9").message, "character 14: "));
  CHECK(contains(reference_refusal("\xe6\x9d\xb1\xe4\xba\xac.example/a").message, "character 1: "));
  CHECK(contains(reference_refusal("a.\xe6\x9d\xb1\xe4\xba\xac-\xff/a").message, "character 3: "));
}

TEST_CASE("the right form is suggested") {
  CHECK(contains(reference_refusal("Python:3.8-Slim").hint, "did you mean python:3.8-Slim?"));
  CHECK(contains(reference_refusal("Me@GHCR.io/Owner/Name:V1").hint, "Me@ghcr.io/owner/name:V1?"));
  CHECK(contains(reference_refusal("python:3.8:1").hint, "did you mean python:3.8?"));
  CHECK(contains(reference_refusal("python:").hint, "did you mean python?"));
  CHECK(contains(reference_refusal("https://ghcr.io/a/b:1").hint, "did you mean ghcr.io/a/b:1?"));
  CHECK(contains(reference_refusal("sha256:0123abcd").hint, "NAME@sha256:0123abcd"));
  CHECK(contains(reference_refusal("podman://a").hint, "docker-archive:"));
  CHECK(contains(reference_refusal(std::string(64, 'a')).hint, "NAME@sha256:aaaa"));
  CHECK(contains(reference_refusal("Py thon").hint, "like python:3.8"));
}

TEST_CASE("what is suggested can be typed") {
  CHECK(contains(reference_refusal("x::").hint, "did you mean x?"));
  CHECK(contains(reference_refusal("x::y").hint, "did you mean x?"));
  for (const std::string text : {"-x:", "x y:1:2", "https://ghcr.io/_/python", "https://", "X y"}) {
    CAPTURE(text);
    CHECK_FALSE(contains(reference_refusal(text).hint, "did you mean"));
  }
}

TEST_CASE("a name on Docker Hub that reads like an ID keeps its registry") {
  const ImageReference reference = ImageReference::parse("docker.io/library/sha256:0123abcd");
  CHECK(ImageReference::parse(reference.familiar()) == reference);
}

TEST_CASE("a password typed into a reference is not repeated") {
  for (const std::string text :
       {"me:s3cret@r.example/a", "docker://me:s3cret@r.example#a", "https://me:s3cret@r.example/a",
        "me:s3/cret@R.example/A", "me:s3cret@r.example/a@sha256:ff", "me:s3cret@a@b@r.example/A"}) {
    CAPTURE(text);
    const Thrown thrown = reference_refusal(text);
    CAPTURE(thrown.message);
    CHECK_FALSE(contains(thrown.message + thrown.hint, "s3"));
    CHECK_FALSE(contains(thrown.message + thrown.hint, "cret"));
  }
  CHECK(contains(reference_refusal("me:s3cret@r.example/a").hint, "mlctr login"));
  CHECK(contains(reference_refusal("python:3.8@sha256:ff").message, "'python:3.8@sha256:ff'"));  // a tag is no secret
}

TEST_CASE("a hostile reference can't drive the terminal") {
  const Thrown thrown = reference_refusal("a/\x1b]0;x\x07/b");
  CHECK_FALSE(contains(thrown.message + thrown.hint, "\x1b"));
  CHECK(contains(thrown.message, "\\x1b"));
}
