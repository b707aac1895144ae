#include "registry/sign_in.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <thread>

#include "faulty_registry.hpp"
#include "registry/place.hpp"
#include "scripted_transport.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

const Credential k_signer{"alice", "s3cret", "", "~/.docker/config.json"};
const Credential k_refresh{"", "", "r3fresh", "~/.docker/config.json"};
const std::vector<std::string> k_bearer = {"--auth",     "bearer", "--user",          "alice",
                                           "--password", "s3cret", "--refresh-token", "r3fresh"};

Place place_of(Transport& transport, const FaultyRegistry& registry, std::optional<Credential> credential) {
  return Place(transport, {{registry.host(), "", false}, "repo", registry.host(), std::move(credential), std::nullopt});
}

HttpResponse list_tags(Place& place) {
  return place.get(place.url("tags/list", {}), "application/json", 1 << 20, {});
}

// The answers to `asked` for each token request, after a registry at `place` sent `challenge`.
struct Scripted {
  std::string realm;
  std::string place = "https://registry.example/";
  std::optional<Credential> credential = k_signer;
  std::string answer = R"({"token":"t"})";
  std::string scope = "repository:repo:pull";
};

struct Outcome {
  std::optional<Authorization> authorization;
  std::vector<HttpRequest> requests;
};

Outcome sign_in(const Scripted& scripted) {
  ScriptedTransport transport([&](const HttpRequest&) { return HttpResponse{200, {}, scripted.answer, ""}; });
  SignIn sign_in(transport, {"registry.example", scripted.scope, scripted.credential});
  Outcome outcome;
  outcome.authorization =
      sign_in.answer("Bearer realm=\"" + scripted.realm + "\",service=\"a, b\"", "", Url::parse(scripted.place), {});
  outcome.requests = transport.requests;
  return outcome;
}

}  // namespace

TEST_CASE("an anonymous token, once for all requests") {
  FaultyRegistry registry({"--auth", "bearer"});
  registry.add_manifest("repo", "one", "{}");
  const auto transport = registry.make_transport();
  Place place = place_of(*transport, registry, std::nullopt);
  for (int i = 0; i < 3; ++i) CHECK(list_tags(place).status == 200);
  CHECK(registry.count("server", "token") == 1);
  CHECK(registry.count("status", 401) == 1);
  for (const json& entry : registry.log()) {
    if (entry["server"] == "token") CHECK(entry["scope"] == "repository:repo:pull");
  }
}

TEST_CASE("a password goes to the token server, a token to the registry") {
  FaultyRegistry registry(k_bearer, Channel::tls);
  registry.add_manifest("repo", "one", "{}");
  const auto transport = registry.make_transport();
  Place place = place_of(*transport, registry, k_signer);
  CHECK(list_tags(place).status == 200);
  for (const json& entry : registry.log()) {
    if (entry["server"] == "token") CHECK(entry["authorization"] == "basic");
    if (entry["server"] == "registry") CHECK(entry["authorization"] != "basic");
  }
}

TEST_CASE("a refresh token is posted, and goes by GET to servers without POST") {
  for (const bool has_post : {true, false}) {
    FaultyRegistry registry(k_bearer, Channel::tls);
    registry.set({{"no_post", !has_post}});
    registry.add_manifest("repo", "one", "{}");
    const auto transport = registry.make_transport();
    Place place = place_of(*transport, registry, k_refresh);
    CHECK(list_tags(place).status == 200);
    CHECK(registry.count("method", "POST") == 1);
    CHECK(registry.count("server", "token") == (has_post ? 1 : 2));
  }
}

TEST_CASE("Basic is answered with Basic, and remembered") {
  FaultyRegistry registry({"--auth", "basic", "--user", "alice", "--password", "s3cret"});
  registry.add_manifest("repo", "one", "{}");
  const auto transport = registry.make_transport();
  Place place = place_of(*transport, registry, k_signer);
  CHECK(list_tags(place).status == 200);
  CHECK(list_tags(place).status == 200);
  CHECK(registry.count("status", 401) == 1);

  Place anonymous = place_of(*transport, registry, std::nullopt);
  CHECK(list_tags(anonymous).status == 401);
}

TEST_CASE("a token is renewed when its time is up, before it is refused") {
  FaultyRegistry registry({"--auth", "bearer", "--token-seconds", "1"});
  registry.add_manifest("repo", "one", "{}");
  const auto transport = registry.make_transport();
  Place place = place_of(*transport, registry, std::nullopt);
  CHECK(list_tags(place).status == 200);
  std::this_thread::sleep_for(std::chrono::milliseconds(1100));
  CHECK(list_tags(place).status == 200);
  CHECK(registry.count("server", "token") == 2);
}

TEST_CASE("a long pull signs in again as often as its tokens end") {
  FaultyRegistry registry({"--auth", "bearer", "--token-bytes", "150000"});
  const Descriptor blob = registry.add_random_blob(1'000'000, 1);
  registry.add_fault({{"fault", "cut"}, {"at", 200'000}, {"times", -1}, {"path", "blobs"}});
  const auto transport = registry.make_transport();
  Place place = place_of(*transport, registry, std::nullopt);
  MemorySink sink;
  const Url url = place.url("blobs/" + blob.digest.to_string(), {});
  CHECK(place.download(url, sink, blob.size_bytes, {}).status == 206);
  CHECK(Digest::of(sink.text) == blob.digest);
  CHECK(sink.restarts == 0);
  CHECK(registry.count("server", "token") == 5);
}

TEST_CASE("a fresh token that is refused is no access, not a loop") {
  FaultyRegistry registry(k_bearer, Channel::tls);
  registry.set({{"token_requests", 0}});
  const auto transport = registry.make_transport();
  Place place = place_of(*transport, registry, k_signer);
  const HttpResponse response = list_tags(place);
  CHECK(response.status == 401);
  CHECK(registry.count("server", "token") == 1);
  const HttpError refusal = place.refusal(place.url("tags/list", {}), response);
  CHECK(contains(refusal.message(), "authentication required"));
  CHECK(contains(refusal.message(), "with the credential of ~/.docker/config.json"));
  CHECK(contains(refusal.hint(), "mlctr login " + registry.host()));
}

TEST_CASE("many layers that lose their token together fetch one") {
  FaultyRegistry registry({"--auth", "bearer"});
  registry.add_manifest("repo", "one", "{}");
  const auto transport = registry.make_transport();
  Place place = place_of(*transport, registry, std::nullopt);
  CHECK(list_tags(place).status == 200);
  registry.expire_tokens();
  std::atomic<int> good{0};
  std::vector<std::thread> layers;
  for (int i = 0; i < 8; ++i) layers.emplace_back([&] { good += list_tags(place).status == 200 ? 1 : 0; });
  for (std::thread& layer : layers) layer.join();
  CHECK(good == 8);
  CHECK(registry.count("server", "token") == 2);
}

TEST_CASE("a token request that is redirected carries no password along") {
  FaultyRegistry registry(k_bearer, Channel::tls);
  registry.add_fault({{"fault", "location"}, {"path", "^/token"}, {"location", registry.storage_origin() + "/token"}});
  const auto transport = registry.make_transport();
  Place place = place_of(*transport, registry, k_signer);
  CHECK_THROWS_AS(list_tags(place), HttpError);
  bool seen = false;
  for (const json& entry : registry.log()) {
    if (entry["fault"].is_null() && entry["path"] == "/token") {
      seen = true;
      CHECK(entry["authorization"] == "none");
    }
  }
  CHECK(seen);
}

TEST_CASE("a refused sign-in says with what, and what to do") {
  FaultyRegistry registry(k_bearer, Channel::tls);
  const auto transport = registry.make_transport();
  Place place = place_of(*transport, registry, Credential{"alice", "wr0ng", "", "docker-credential-pass"});
  const Thrown thrown = thrown_by<HttpError>([&] { list_tags(place); });
  CHECK(contains(thrown.message,
                 "with the credential of docker-credential-pass: HTTP 401: incorrect username or password"));
  CHECK(contains(thrown.hint, "mlctr login"));
  CHECK(!contains(thrown.message + thrown.hint, "wr0ng"));
}

TEST_CASE("a stop ends the wait for another thread's token") {
  FaultyRegistry registry({"--auth", "bearer"});
  registry.add_fault({{"fault", "hang"}, {"seconds", 600}, {"path", "^/token"}, {"times", -1}});
  const auto transport = registry.make_transport();
  Place place = place_of(*transport, registry, std::nullopt);
  const Url url = place.url("tags/list", {});
  std::stop_source source;
  std::atomic<int> cancelled{0};
  std::vector<std::thread> layers;
  for (int i = 0; i < 4; ++i) {
    layers.emplace_back([&] {
      try {
        place.get(url, "application/json", 1 << 20, source.get_token());
      } catch (const Cancelled&) {
        ++cancelled;
      }
    });
  }
  while (registry.count("server", "token") == 0) std::this_thread::yield();
  source.request_stop();
  for (std::thread& layer : layers) layer.join();
  CHECK(cancelled == 4);
}

TEST_CASE("scope and service arrive encoded, a list of scopes one by one") {
  const Outcome outcome =
      sign_in({.realm = "https://auth.example/token?x=1", .scope = "repository:a/b:pull repository:c:pull"});
  REQUIRE(outcome.requests.size() == 1);
  CHECK(outcome.requests[0].url ==
        "https://auth.example/token?x=1&service=a%2C%20b&scope=repository%3Aa%2Fb%3Apull&scope=repository%3Ac%3Apull");
  CHECK(outcome.requests[0].authorization == "Basic YWxpY2U6czNjcmV0");  // printf alice:s3cret | base64
  CHECK(outcome.authorization->value == "Bearer t");
}

TEST_CASE("a password is not sent to a realm on plain HTTP, unless the registry speaks that itself") {
  CHECK(sign_in({.realm = "http://127.0.0.1:1/token"}).requests.at(0).authorization.empty());
  for (const char* realm : {"http://registry.example/token", "http://registry.example:5001/token"}) {
    CAPTURE(realm);
    CHECK(!sign_in({.realm = realm, .place = "http://registry.example:5000/"}).requests.at(0).authorization.empty());
  }
  CHECK(!sign_in({.realm = "http://localhost:1/", .place = "http://127.0.0.1/"}).requests.at(0).authorization.empty());
  CHECK(contains(thrown_by<RemoteError>([] { sign_in({.realm = "http://auth.example/token"}); }).message,
                 "refusing to sign in over plain HTTP at http://auth.example/token"));
}

TEST_CASE("a registry on plain HTTP gets no credential sent to another host in the clear") {
  for (const char* realm : {"http://auth.example/token", "http://registry.example.evil.example/",
                            "http://localhost:1/"}) {  // ours: any user's port on this machine
    CAPTURE(realm);
    for (const Credential& credential : {k_signer, k_refresh}) {
      ScriptedTransport transport([](const HttpRequest&) { return HttpResponse{200, {}, R"({"token":"t"})", ""}; });
      SignIn sign_in(transport, {"registry.example", "", credential});
      const Thrown thrown = thrown_by<RemoteError>([&] {
        sign_in.answer(std::string("Bearer realm=\"") + realm + "\"", "", Url::parse("http://registry.example/"), {});
      });
      CHECK(contains(thrown.message, "refusing to send the credential of ~/.docker/config.json to http://"));
      CHECK(contains(thrown.hint, "mlctr logout registry.example"));
      CHECK(transport.requests.empty());
    }
  }
  // Nothing to lose: an anonymous token may come from anywhere.
  CHECK(sign_in({.realm = "http://auth.example/", .place = "http://registry.example/", .credential = std::nullopt})
            .authorization->value == "Bearer t");
  CHECK(!sign_in({.realm = "https://auth.example/", .place = "http://registry.example/"})
             .requests.at(0)
             .authorization.empty());
}

TEST_CASE("hostile realms and answers are refused") {
  for (const std::string realm :
       {"file:///etc/passwd", "//auth.example/", "token", "ftp://auth.example/", "https://a b/"}) {
    CAPTURE(realm);
    CHECK_THROWS_AS(sign_in({.realm = realm}), RemoteError);
  }
  for (const std::string answer : {"", "[]", "{}", "7", R"({"token":""})", R"({"token":7})",
                                   "{\"token\":\"a\\r\\nX-Evil: 1\"}", "{\"token\":\"a b\"}", "<html>"}) {
    CAPTURE(answer);
    CHECK_THROWS_AS(sign_in({.realm = "https://auth.example/", .answer = answer}), RemoteError);
  }
  CHECK(sign_in({.realm = "https://a/", .answer = R"({"access_token":"u","expires_in":-1})"}).authorization->value ==
        "Bearer u");
}

TEST_CASE("a host behind a redirect can't make us sign in for it") {
  ScriptedTransport transport([](const HttpRequest&) {
    return HttpResponse{401, {{"www-authenticate", "Basic realm=\"x\""}}, "", "https://storage.example/blob"};
  });
  Place place(transport, {{"registry.example", "", false}, "repo", "registry.example", k_signer, std::nullopt});
  CHECK(list_tags(place).status == 401);
  CHECK(transport.requests.size() == 1);
  CHECK(transport.requests[0].authorization.empty());
}

TEST_CASE("a server that repeats our secret does not get it into a message") {
  ScriptedTransport transport([](const HttpRequest& request) {
    return HttpResponse{403, {}, R"({"errors":[{"message":"no entry for s3cret"}]})", request.url};
  });
  Place place(transport, {{"registry.example", "", false}, "repo", "registry.example", k_signer, std::nullopt});
  const HttpError refusal = place.refusal(place.url("tags/list", {}), list_tags(place));
  CHECK(!contains(refusal.message(), "s3cret"));
  CHECK(contains(refusal.message(), "HTTP 403"));
}
