#include "registry/credentials.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>

#include "base/file.hpp"
#include "tests/unit/fixture.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using mlctr::test::contains;
using mlctr::test::fixture;
using mlctr::test::TemporaryDirectory;
using mlctr::test::Thrown;
using mlctr::test::thrown_by;

namespace {

// A home of its own, and an environment in which nothing else is looked at; put back at the end.
class Home {
 public:
  Home() {
    for (const char* name : {"HOME", "PATH", "DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR",
                             "XDG_CONFIG_HOME", "ENROOT_CONFIG_PATH"}) {
      const char* const value = ::getenv(name);
      former_.emplace_back(name, value == nullptr ? std::nullopt : std::optional<std::string>(value));
      if (std::string_view(name) != "PATH") ::unsetenv(name);
    }
    set("HOME", directory_.path().string());
  }
  Home(const Home&) = delete;
  Home& operator=(const Home&) = delete;
  ~Home() {
    for (const auto& [name, value] : former_) {
      value ? ::setenv(name.c_str(), value->c_str(), 1) : ::unsetenv(name.c_str());
    }
  }

  void set(const char* name, const std::string& value) { REQUIRE(::setenv(name, value.c_str(), 1) == 0); }
  const TemporaryDirectory* operator->() const { return &directory_; }
  std::filesystem::path operator/(std::string_view name) const { return directory_ / name; }

  void docker_config(std::string_view content) { directory_.write(".docker/config.json", content); }

  // docker-credential-test as the protocol has it, in shell: one file a URL below secrets/.
  void install_helper() {
    directory_.write("bin/docker-credential-test", R"sh(#!/bin/sh
cd "$HOME" && mkdir -p secrets
file_of() { printf 'secrets/%s' "$(cat | tr -d '\n' | tr / '#')"; }
case "$1" in
  get)
    file=$(file_of)
    if [ -f "$file" ]; then cat "$file"; else echo "credentials not found in native keychain"; exit 1; fi ;;
  store)
    input=$(cat)
    printf %s "$input" >"$(printf %s "$input" | sed 's/.*"ServerURL":"\([^"]*\)".*/\1/' | file_of)" ;;
  erase) rm "$(file_of)" ;;
  list)
    separator='{'
    for file in secrets/*; do
      [ -f "$file" ] || continue
      printf '%s"%s":"someone"' "$separator" "$(basename "$file" | tr '#' /)"
      separator=,
    done
    if [ "$separator" = , ]; then echo '}'; else echo '{}'; fi ;;
esac
)sh");
    std::filesystem::permissions(directory_ / "bin/docker-credential-test", std::filesystem::perms::owner_all);
    set("PATH", (directory_ / "bin").string() + ":" + ::getenv("PATH"));
  }

  // A helper that answers every command the same way.
  void install_answer(std::string_view script) {
    directory_.write("bin/docker-credential-odd", "#!/bin/sh\n" + std::string(script) + "\n");
    std::filesystem::permissions(directory_ / "bin/docker-credential-odd", std::filesystem::perms::owner_all);
    set("PATH", (directory_ / "bin").string() + ":" + ::getenv("PATH"));
  }

 private:
  TemporaryDirectory directory_;
  std::vector<std::pair<std::string, std::optional<std::string>>> former_;
};

// "user:password", "token:…" or "none".
std::string found(const CredentialQuery& query) {
  const auto credential = find_credential(query);
  if (!credential) return "none";
  if (!credential->identity_token.empty()) return "token:" + credential->identity_token;
  return credential->username + ":" + credential->password;
}

std::string found(const std::string& registry, const std::string& repository = "owner/name") {
  return found(CredentialQuery{.registry = registry, .repository = repository, .user = {}});
}

Thrown broken(const std::string& registry = "ghcr.io") {
  return thrown_by([&] { found(registry); });
}

mode_t mode_of(const std::filesystem::path& path) {
  struct stat status {};
  REQUIRE(::stat(path.c_str(), &status) == 0);
  return status.st_mode & 07777;
}

Credential credential_of(std::string user, std::string password) {
  return {.username = std::move(user), .password = std::move(password), .identity_token = {}, .source = {}};
}

}  // namespace

TEST_CASE("without any file there is no credential") {
  const Home home;
  CHECK(found("ghcr.io") == "none");
  CHECK(found("docker.io") == "none");
}

// The expectations are those of containers/image's config_test.go, where the files come from.
TEST_CASE("the fixtures of docker's config give what containers/image takes from them") {
  struct Expected {
    const char *file, *registry, *repository, *credential;
  };
  const Expected expectations[] = {
      {"empty.json", "localhost:5000", "x", "none"},
      {"example.json", "example.org", "x", "example:org"},
      {"example.json", "registry.example.org", "x", "none"},
      {"example_identitytoken.json", "example.org", "x", "token:some very long identity token"},
      {"full.json", "docker.io", "library/x", "docker:io"},
      {"full.json", "normalize.example.org", "x", "normalize:example"},
      {"full.json", "localhost", "x", "local:host"},
      {"full.json", "localhost:5000", "x", "local:host-5000"},
      {"full.json", "10.10.30.45:5000", "x", "10.10:30.45-5000"},
      {"full.json", "10.10.30.45", "x", "10.10:30.45"},
      {"abnormal.json", "docker.io", "library/x", "index:docker.io"},
      {"abnormal.json", "localhost:5000", "x", "local:host-5000"},
      {"abnormal.json", "localhost:5001", "x", "local:host-5001"},
      {"abnormal.json", "localhost", "x", "local:host"},
      {"abnormal.json", "127.0.0.1:5000", "x", "127.0:0.1-5000"},
      {"legacy.json", "localhost", "x", "local:host-legacy"},
      {"legacy.json", "docker.io", "library/x", "docker:io-legacy"},
      {"refpath.json", "example.org", "repo/image", "example:org"},
      {"refpath.json", "example.org", "repo", "example:org"},
      {"refpath.json", "example.org", "repository", "local:host"},
      {"refpath.json", "example.org", "image", "local:host"},
      {"refpath.json", "docker.io", "library/busybox", "library:busybox"},
      {"refpath.json", "docker.io", "library/notbusybox", "library:other"},
      {"refpath.json", "docker.io", "vendor/product", "first:level"},
      {"refpath.json", "docker.io", "other-vendor/other-product", "top:level"},
      {"config.json", "other.example", "x", "none"},
  };
  for (const Expected& expected : expectations) {
    CAPTURE(std::string(expected.file));
    CAPTURE(std::string(expected.registry));
    Home home;
    home.docker_config(fixture(std::filesystem::path("docker-config") / expected.file));
    CHECK(found(expected.registry, expected.repository) == expected.credential);
  }
}

TEST_CASE("the places are looked at in their order, and named") {
  Home home;
  const auto auth = [](char c) {
    return R"({"auths":{"r.example":{"username":")" + std::string(1, c) + R"(","password":"p"}}})";
  };
  const CredentialQuery query{.registry = "r.example", .repository = "x", .user = {}};
  home->write(".config/enroot/.credentials", "machine r.example login e password p");
  CHECK(find_credential(query)->source == "~/.config/enroot/.credentials");
  home->write(".config/containers/auth.json", auth('d'));
  CHECK(find_credential(query)->source == "~/.config/containers/auth.json");
  home.set("XDG_RUNTIME_DIR", home / "run");
  home->write("run/containers/auth.json", auth('c'));
  CHECK(find_credential(query)->username == "c");
  home.docker_config(auth('b'));
  CHECK(find_credential(query)->source == "~/.docker/config.json");
  home.set("DOCKER_CONFIG", home / "elsewhere");
  CHECK(find_credential(query)->username == "c");
  home->write("elsewhere/config.json", auth('B'));
  CHECK(find_credential(query)->username == "B");
  home.set("REGISTRY_AUTH_FILE", home / "chosen.json");
  CHECK(find_credential(query)->username == "B");  // not there yet
  home->write("chosen.json", auth('a'));
  CHECK(find_credential(query)->username == "a");
  // Another user's is passed over, wherever it is.
  CHECK(find_credential({.registry = "r.example", .repository = "x", .user = "c"})->source ==
        "~/run/containers/auth.json");
  CHECK(find_credential({.registry = "r.example", .repository = "x", .user = "e"})->username == "e");
  CHECK_FALSE(find_credential({.registry = "r.example", .repository = "x", .user = "nobody"}));
}

TEST_CASE("a place that is broken is named, without what is in it") {
  Home home;
  home.docker_config("{\"auths\":{\n\"x\":{\"auth\": hunter2}}}");
  CHECK(broken().message == "cannot take credentials from ~/.docker/config.json: not valid JSON at line 2, column 14");
  home.docker_config(R"({"auths":{"ghcr.io":{"auth":"aHVudGVyMg=="}}})");  // no colon in it
  CHECK(broken().message ==
        "cannot take credentials from ~/.docker/config.json: $.auths[\"ghcr.io\"].auth: it is not USER:PASSWORD in "
        "base64");
  CHECK(contains(broken().hint, "mlctr login"));
  home.docker_config(R"({"auths":{"ghcr.io":{"auth":"***"}}})");
  CHECK(contains(broken().message, "not USER:PASSWORD"));
  home.docker_config(R"({"auths":[]})");
  CHECK(contains(broken().message, "$.auths: expected an object, found an array"));
  home.docker_config(R"({"auths":{"ghcr.io":{"auth":7}}})");
  CHECK(contains(broken().message, "$.auths[\"ghcr.io\"].auth: expected a string"));
  CHECK(found("quay.io") == "none");  // another's broken entry is no obstacle
  home.docker_config("[]");
  CHECK(contains(broken().message, "$: expected an object"));
  home.docker_config(std::string(5'000'000, ' '));
  CHECK(contains(broken().message, "larger than"));
  home.docker_config(" \n");  // docker takes an empty file for an empty config
  CHECK(found("ghcr.io") == "none");
}

TEST_CASE("passwords may have colons, any bytes, and docker's old padding") {
  Home home;
  home.docker_config(
      R"({"auths":{"a.example":{"auth":"dTphOmI6Yw=="},"b.example":{"auth":"dTpw/w=="},"c.example":{"auth":"dTpwAAA="},"d.example":{"auth":"dTo"}}})");
  CHECK(found("a.example") == "u:a:b:c");
  CHECK(found("b.example") == "u:p\xff");
  CHECK(found("c.example") == "u:p");
  CHECK(found("d.example") == "u:");  // and padding left out
}

TEST_CASE("a helper of this registry is asked before the entries, the helper for all after them") {
  Home home;
  home.install_helper();
  home->write("secrets/ghcr.io", R"({"ServerURL":"ghcr.io","Username":"h","Secret":"s"})");
  home.docker_config(R"({"credHelpers":{"ghcr.io":"test"},"auths":{"ghcr.io":{"username":"f","password":"p"}}})");
  CHECK(found("ghcr.io") == "h:s");
  CHECK(find_credential({.registry = "ghcr.io", .repository = "x", .user = {}})->source == "docker-credential-test");
  home.docker_config(R"({"credsStore":"test","auths":{"quay.io":{"username":"f","password":"p"},"ghcr.io":{}}})");
  CHECK(found("ghcr.io") == "h:s");
  CHECK(found("quay.io") == "f:p");
  CHECK(found("r.example") == "none");  // "not found" is no failure
  CHECK(found({.registry = "ghcr.io", .repository = "x", .user = "someone"}) == "none");
}

TEST_CASE("a helper's identity token and Docker Hub's URL") {
  Home home;
  home.install_helper();
  home.docker_config(R"({"credsStore":"test"})");
  home->write("secrets/https:##index.docker.io#v1#",
              R"({"ServerURL":"https://index.docker.io/v1/","Username":"<token>","Secret":"t0ken"})");
  CHECK(found("docker.io") == "token:t0ken");
  std::filesystem::remove(home / "secrets/https:##index.docker.io#v1#");
  home->write("secrets/docker.io", R"({"Username":"podman","Secret":"s"})");  // as podman login stores it
  CHECK(found("docker.io") == "podman:s");
}

TEST_CASE("a helper that fails is named, with its own words made safe") {
  Home home;
  home.docker_config(R"({"credHelpers":{"registry-no-creds.com":"helper-registry"}})");
  const Thrown missing = broken("registry-no-creds.com");
  CHECK(contains(missing.message, "~/.docker/config.json: cannot run docker-credential-helper-registry: No such file"));
  CHECK(contains(missing.hint, "credHelpers"));
  CHECK(found("ghcr.io") == "none");  // whoever does not need it is not stopped

  home.docker_config(R"({"credsStore":"odd"})");
  home.install_answer("cat >/dev/null; printf 'keychain \\033[2J is locked\\n'; exit 1");
  CHECK(contains(broken().message, "docker-credential-odd get failed: keychain \\x1b[2J is locked"));
  home.install_answer("cat >/dev/null; echo no tty >&2; exit 2");
  CHECK(contains(broken().message, "docker-credential-odd get failed: no tty"));
  home.install_answer("cat >/dev/null; echo '{\"Secret\": hunter2}'");
  CHECK(contains(broken().message, "cannot read the answer of docker-credential-odd get: not valid JSON"));
  CHECK_FALSE(contains(broken().message, "hunter2"));
  home.install_answer("cat >/dev/null; echo '{\"Username\":\"\",\"Secret\":\"\"}'");
  CHECK(found("ghcr.io") == "none");
  home.docker_config(R"({"credsStore":"../../tmp/evil"})");
  CHECK(contains(broken().message, "can't be the name of a credential helper"));
}

TEST_CASE("login keeps all else in config.json and leaves it to nobody else's eyes") {
  Home home;
  home.docker_config(
      R"({"zeta":1,"auths":{"quay.io":{"auth":"dTpw","email":"me@x"},"https://ghcr.io/v1/":{"auth":"b2xkOm9sZA=="}},"alpha":{"b":[1,2.5,null],"a":9007199254740993}})");
  std::filesystem::permissions(home / ".docker/config.json", std::filesystem::perms(0644));
  CHECK(store_credential("ghcr.io", credential_of("me", "pässword:1")) == "~/.docker/config.json");
  CHECK(found("ghcr.io") == "me:pässword:1");
  CHECK(found("quay.io") == "u:p");
  CHECK(mode_of(home / ".docker/config.json") == 0600);
  const std::string text = read_file(home / ".docker/config.json");
  const auto document = nlohmann::ordered_json::parse(text);
  CHECK(document.begin().key() == "zeta");
  CHECK(document["alpha"].dump() == R"({"b":[1,2.5,null],"a":9007199254740993})");
  CHECK(document["auths"]["quay.io"]["email"] == "me@x");
  CHECK_FALSE(contains(text, "b2xkOm9sZA=="));  // the same registry under its old name
  CHECK_FALSE(contains(text, "pässword"));
}

TEST_CASE("login makes the file where there is none, with a directory of its own") {
  Home home;
  store_credential("localhost:5000", credential_of("u", "p"));
  CHECK(mode_of(home / ".docker") == 0700);
  CHECK(mode_of(home / ".docker/config.json") == 0600);
  CHECK(found("localhost:5000") == "u:p");
  home.set("REGISTRY_AUTH_FILE", home / "deep/er/auth.json");
  CHECK(store_credential("docker.io", credential_of("hub", "p")) == "~/deep/er/auth.json");
  CHECK(found("docker.io") == "hub:p");
  CHECK(
      contains(read_file(home / "deep/er/auth.json"), "\"https://index.docker.io/v1/\""));  // where docker looks for it
}

TEST_CASE("a linked config.json stays a link") {
  Home home;
  home->write("dotfiles/docker.json", R"({"psFormat":"x"})");
  std::filesystem::create_directory(home / ".docker");
  std::filesystem::create_symlink("../dotfiles/docker.json", home / ".docker/config.json");
  store_credential("ghcr.io", credential_of("u", "p"));
  CHECK(std::filesystem::is_symlink(home / ".docker/config.json"));
  CHECK(contains(read_file(home / "dotfiles/docker.json"), "psFormat"));
  CHECK(found("ghcr.io") == "u:p");
  std::filesystem::remove(home / "dotfiles/docker.json");
  store_credential("ghcr.io", credential_of("v", "p"));  // to where the link leads, though nothing is there
  CHECK(std::filesystem::is_symlink(home / ".docker/config.json"));
  CHECK(found("ghcr.io") == "v:p");
  std::filesystem::remove(home / ".docker/config.json");
  std::filesystem::create_symlink("config.json", home / ".docker/config.json");
  CHECK_THROWS_AS(store_credential("ghcr.io", credential_of("u", "p")), SysError);
}

TEST_CASE("a broken config.json is not overwritten") {
  Home home;
  home.docker_config("{\"auths\": oops");
  const Thrown thrown = thrown_by([] { store_credential("ghcr.io", credential_of("u", "s3cret")); });
  CHECK(contains(thrown.message, "cannot store the credential for ghcr.io"));
  CHECK_FALSE(contains(thrown.message, "s3cret"));
  CHECK(read_file(home / ".docker/config.json") == "{\"auths\": oops");
}

TEST_CASE("with a helper, the secret goes there and a mark stays") {
  Home home;
  home.install_helper();
  home.docker_config(R"({"credsStore":"test","auths":{"ghcr.io":{"auth":"b2xkOm9sZA=="}}})");
  CHECK(store_credential("ghcr.io", credential_of("u", "s3cret")) == "docker-credential-test");
  CHECK(nlohmann::json::parse(read_file(home / ".docker/config.json")) ==
        nlohmann::json::parse(R"({"auths":{"ghcr.io":{}},"credsStore":"test"})"));
  CHECK(found("ghcr.io") == "u:s3cret");
  store_credential("docker.io", {.username = {}, .password = {}, .identity_token = "t", .source = {}});
  CHECK(found("docker.io") == "token:t");
  CHECK(std::filesystem::exists(home / "secrets/https:##index.docker.io#v1#"));
  CHECK(erase_credential("ghcr.io"));
  CHECK(found("ghcr.io") == "none");
  CHECK(found("docker.io") == "token:t");
  CHECK_FALSE(erase_credential("ghcr.io"));
}

TEST_CASE("an identity token is kept in the file as docker keeps it") {
  Home home;
  store_credential("r.azurecr.io", {.username = "00000000", .password = {}, .identity_token = "tok", .source = {}});
  CHECK(found("r.azurecr.io") == "token:tok");
  store_credential("r.azurecr.io", credential_of("u", "p"));
  CHECK(found("r.azurecr.io") == "u:p");
}

TEST_CASE("logout removes every name of the registry, and no namespace") {
  Home home;
  home.docker_config(
      R"({"a":1,"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"docker.io":{"auth":"dTpw"},"docker.io/team":{"auth":"dDp0"},"quay.io":{"auth":"dTpw"}}})");
  CHECK(erase_credential("docker.io"));
  CHECK(found("docker.io", "library/x") == "none");
  CHECK(found("docker.io", "team/x") == "t:t");
  CHECK(found("quay.io") == "u:p");
  CHECK(mode_of(home / ".docker/config.json") == 0600);
  const std::string text = read_file(home / ".docker/config.json");
  CHECK_FALSE(erase_credential("docker.io"));
  CHECK(read_file(home / ".docker/config.json") == text);
  CHECK_FALSE(erase_credential("none.example"));
}

TEST_CASE("what no file can hold is refused before anything is written") {
  const Home home;
  CHECK_THROWS_AS(store_credential("ghcr.io", credential_of("a:b", "p")), UsageError);
  CHECK_THROWS_AS(store_credential("ghcr.io", credential_of("", "p")), UsageError);
  CHECK_FALSE(std::filesystem::exists(home / ".docker"));
}
