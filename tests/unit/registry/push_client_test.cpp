#include "registry/push_client.hpp"

#include <doctest/doctest.h>

#include <string>

#include "faulty_registry.hpp"
#include "scripted_transport.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

const Credential k_pusher{"alice", "s3cret", "", "~/.docker/config.json"};
constexpr std::uint64_t k_chunk_bytes = 1000;

std::string some_text(std::size_t size) {
  std::string text;
  for (std::size_t i = 0; text.size() < size; ++i) text += std::to_string(i) + ",";
  text.resize(size);
  return text;
}

class Pusher {
 public:
  explicit Pusher(FaultyRegistry& registry, std::optional<Credential> credential = std::nullopt)
      : registry_(registry),
        transport_(registry.make_transport()),
        client_(*transport_, {}, ImageReference::parse(registry.host() + "/repo:one"), std::move(credential),
                {.chunk_bytes = k_chunk_bytes, .first_backoff = std::chrono::milliseconds(1), .max_attempts = 4}) {}

  PushClient& client() { return client_; }

  void send(const std::string& text, std::size_t piece = 333) {
    const auto upload = client_.begin_upload([this](std::uint64_t sent) { sent_ = sent; }, {});
    for (std::size_t at = 0; at < text.size(); at += piece) {
      upload->append(std::as_bytes(std::span(text)).subspan(at, std::min(piece, text.size() - at)));
    }
    upload->finish(Digest::of(text));
  }

  void check_arrives(const std::string& text) {
    send(text);
    CHECK(client_.has_blob(Digest::of(text), {}));
    RegistryClient reader(*transport_, {}, ImageReference::parse(registry_.host() + "/repo:one"), k_pusher);
    CHECK(reader.blob({"", Digest::of(text), text.size(), {}}, 1u << 20, {}) == text);
  }

  std::uint64_t sent() const { return sent_; }

 private:
  FaultyRegistry& registry_;
  std::unique_ptr<Transport> transport_;
  PushClient client_;
  std::atomic<std::uint64_t> sent_{0};
};

}  // namespace

TEST_CASE("a blob goes up in chunks") {
  for (const Channel channel : {Channel::plain, Channel::tls}) {
    FaultyRegistry registry({}, channel);
    Pusher pusher(registry);
    CHECK(!pusher.client().has_blob(Digest::of(some_text(3500)), {}));
    pusher.check_arrives(some_text(3500));
    CHECK(pusher.sent() == 3500);
    CHECK(registry.count("method", "PATCH") == 4);
    CHECK(registry.count("content_range", "3000-3499") == 1);
    pusher.check_arrives("");
    pusher.check_arrives(some_text(2000));  // whole chunks
  }
}

TEST_CASE("a chunk that breaks is gone on with where the registry stands") {
  for (const bool keeps : {false, true}) {
    for (const int at : {0, 1, 400, 999}) {
      FaultyRegistry registry;
      registry.add_fault({{"fault", "cut-upload"}, {"at", at}, {"keep", keeps}, {"method", "PATCH"}, {"skip", 1}});
      Pusher(registry).check_arrives(some_text(3500));
      CHECK(registry.count("method", "POST") == 1);
    }
  }
}

TEST_CASE("a registry that takes less than it was sent gets the rest") {
  FaultyRegistry registry;
  registry.add_fault({{"fault", "short-patch"}, {"bytes", 300}, {"method", "PATCH"}, {"skip", 1}});
  Pusher(registry).check_arrives(some_text(3500));
  CHECK(registry.count("content_range", "1300-1999") == 1);
}

TEST_CASE("an answer that asks for patience is heeded") {
  for (const int status : {429, 500, 502, 503}) {
    FaultyRegistry registry;
    registry.add_fault(
        {{"fault", "status"}, {"status", status}, {"method", "PATCH"}, {"headers", {{"Retry-After", "0"}}}});
    registry.add_fault({{"fault", "status"}, {"status", status}, {"method", "PUT"}});
    registry.add_fault({{"fault", "status"}, {"status", status}, {"method", "POST"}});
    Pusher(registry).check_arrives(some_text(1500));
  }
}

TEST_CASE("patience ends") {
  FaultyRegistry registry;
  registry.add_fault({{"fault", "status"}, {"status", 503}, {"method", "PATCH"}, {"times", -1}});
  const auto error = thrown_by<HttpError>([&] { Pusher(registry).send(some_text(1500)); });
  CHECK(error.hint.find("try again later") != std::string::npos);
}

TEST_CASE("an upload that the registry has forgotten is to begin anew") {
  for (const char* method : {"PATCH", "PUT"}) {
    FaultyRegistry registry;
    registry.add_fault({{"fault", "forget"}, {"method", method}});
    Pusher pusher(registry);
    CHECK_THROWS_AS(pusher.send(some_text(1500)), UploadLost);
    pusher.check_arrives(some_text(1500));
  }
  FaultyRegistry registry;
  // Broken, and then nobody knows where it stands.
  registry.add_fault({{"fault", "cut-upload"}, {"at", 10}, {"keep", true}, {"method", "PATCH"}});
  registry.add_fault({{"fault", "status"}, {"status", 405}, {"method", "GET"}, {"path", "uploads"}});
  CHECK_THROWS_AS(Pusher(registry).send(some_text(1500)), UploadLost);
}

TEST_CASE("a PUT whose answer is lost has been done") {
  FaultyRegistry registry;
  registry.add_fault({{"fault", "cut"}, {"at", 0}, {"method", "PUT"}});
  Pusher(registry).check_arrives(some_text(1500));
  CHECK(registry.count("method", "PUT") == 1);
}

TEST_CASE("a token may expire in the middle of a blob") {
  FaultyRegistry registry({"--auth", "bearer", "--user", "alice", "--password", "s3cret", "--token-requests", "2"});
  Pusher pusher(registry, k_pusher);
  pusher.send(some_text(6500));
  CHECK(pusher.client().has_blob(Digest::of(some_text(6500)), {}));
  CHECK(registry.count("scope", "repository:repo:pull,push") > 1);
}

TEST_CASE("where the bytes go to another host, that is not told who we are") {
  FaultyRegistry registry({"--auth", "basic", "--user", "alice", "--password", "s3cret"});
  registry.add_fault({{"fault", "elsewhere"}, {"method", "POST"}, {"skip", 1}});
  Pusher pusher(registry, k_pusher);
  pusher.send(some_text(1500));
  std::size_t elsewhere = 0;
  for (const json& request : registry.log()) {
    if (request["server"] != "storage") continue;
    ++elsewhere;
    CHECK(request["authorization"] == "none");
  }
  CHECK(elsewhere == 3);
}

TEST_CASE("a blob is not sent where nobody should have it") {
  for (const auto& [location, registry] :
       {std::pair("http://registry.test/elsewhere", "registry.test"),
        std::pair("https://127.0.0.1:1/x", "registry.test"), std::pair("https://localhost/x", "registry.test")}) {
    ScriptedTransport transport([&, where = std::string(location)](const HttpRequest& request) -> HttpResponse {
      if (request.method == "POST") return {202, {{"location", where}}, "", ""};
      return {202, {}, "", ""};
    });
    PushClient client(transport, {}, ImageReference::parse(std::string(registry) + "/repo:one"), std::nullopt);
    CHECK_THROWS_AS(client.begin_upload([](std::uint64_t) {}, {}), RemoteError);
    CHECK(transport.requests.size() == 1);
  }
}

TEST_CASE("refusals say what to do") {
  const auto hint_of = [](int status, std::optional<Credential> credential) {
    FaultyRegistry registry;
    registry.add_fault({{"fault", "status"}, {"status", status}, {"method", "POST"}, {"times", -1}});
    const auto error = thrown_by<HttpError>([&] { Pusher(registry, credential).send("x"); });
    CHECK(error.message.find("HTTP " + std::to_string(status)) != std::string::npos);
    CHECK(error.message.find("POST ") == 0);
    return error.message + " | " + error.hint;
  };
  CHECK(hint_of(401, std::nullopt).find("without credentials") != std::string::npos);
  CHECK(hint_of(403, k_pusher).find("with the credential of ~/.docker/config.json") != std::string::npos);
  CHECK(hint_of(403, k_pusher).find("mlctr login 127.0.0.1") != std::string::npos);
  CHECK(hint_of(405, std::nullopt).find("takes no pushes") != std::string::npos);
  CHECK(hint_of(413, std::nullopt).find("quota") != std::string::npos);
  CHECK(hint_of(404, std::nullopt).find("repository") != std::string::npos);
}

TEST_CASE("another digest than the blob's is no success") {
  FaultyRegistry registry;
  registry.add_fault({{"fault", "wrong-name"}, {"method", "PUT"}});
  CHECK_THROWS_AS(Pusher(registry).send(some_text(100)), RemoteError);
  Pusher pusher(registry);
  const auto upload = pusher.client().begin_upload([](std::uint64_t) {}, {});
  upload->append(std::as_bytes(std::span(std::string_view("text"))));
  const auto error = thrown_by<HttpError>([&] { upload->finish(Digest::of("other text")); });
  CHECK(error.message.find("HTTP 400") != std::string::npos);
}

TEST_CASE("a manifest gets its tag") {
  FaultyRegistry registry;
  Pusher pusher(registry);
  const std::string manifest =
      R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:)" +
      std::string(64, '0') + R"(","size":2},"layers":[]})";
  pusher.client().put_manifest(manifest, "application/vnd.oci.image.manifest.v1+json", "one", {});
  const auto transport = registry.make_transport();
  RegistryClient reader(*transport, {}, ImageReference::parse(registry.host() + "/repo:one"), std::nullopt);
  CHECK(reader.manifest("one", {}).body == manifest);
}

TEST_CASE("what the registry won't mount is to be sent") {
  FaultyRegistry registry;
  Pusher pusher(registry);
  CHECK(!pusher.client().mount(Digest::of("x"), "other", {}));
  ScriptedTransport transport([](const HttpRequest&) -> HttpResponse { return {201, {}, "", ""}; });
  PushClient client(transport, {}, ImageReference::parse("registry.test/repo:one"), std::nullopt);
  CHECK(client.mount(Digest::of("x"), "team/other", {}));
  CHECK(transport.requests.back().url.find("from=team%2Fother") != std::string::npos);
}
