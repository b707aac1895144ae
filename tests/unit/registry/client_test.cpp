#include "registry/client.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "faulty_registry.hpp"
#include "scripted_transport.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

const Credential k_alice{"alice", "s3cret", "", "~/.docker/config.json"};
const std::vector<std::string> k_basic = {"--auth", "basic", "--user", "alice", "--password", "s3cret"};

ImageReference repo_at(const FaultyRegistry& registry) {
  return ImageReference::parse(registry.host() + "/repo:one");
}

RegistryClient client_of(Transport& transport, const FaultyRegistry& registry, RegistrySettings settings = {},
                         std::optional<Credential> credential = std::nullopt) {
  return RegistryClient(transport, std::move(settings), repo_at(registry), std::move(credential));
}

RegistrySettings mirrored_by(const FaultyRegistry& mirror) {
  RegistrySettings settings;
  settings.mirrors = {{mirror.host(), "", false}};
  return settings;
}

// The smallest that is one.
const std::string k_manifest =
    R"({"schemaVersion":2,"config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:)" +
    std::string(64, '0') + R"(","size":2},"layers":[]})";

HttpResponse not_found(const HttpRequest&) {
  return {404, {}, "", ""};
}

}  // namespace

TEST_CASE("a manifest by tag and by digest, over plain HTTP and TLS on loopback without a setting") {
  for (const Channel channel : {Channel::plain, Channel::tls}) {
    FaultyRegistry registry({}, channel);
    const Digest digest = registry.add_manifest("repo", "one", k_manifest);
    const auto transport = registry.make_transport();
    RegistryClient client = client_of(*transport, registry);
    for (const std::string& selector : {std::string("one"), digest.to_string()}) {
      const FetchedManifest manifest = client.manifest(selector, {});
      CHECK(manifest.body == k_manifest);
      CHECK(manifest.content_type == "application/vnd.oci.image.manifest.v1+json");
      CHECK(manifest.digest == digest);
    }
  }
}

TEST_CASE("every kind of manifest is asked for") {
  ScriptedTransport transport(not_found);
  RegistryClient client(transport, {}, ImageReference::parse("registry.example/repo:one"), std::nullopt);
  CHECK_THROWS_AS(client.manifest("one", {}), HttpError);
  const std::string accept = transport.requests.at(0).headers.at(0).second;
  for (const char* type : {"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json",
                           "application/vnd.docker.distribution.manifest.v2+json",
                           "application/vnd.docker.distribution.manifest.list.v2+json"}) {
    CHECK(contains(accept, type));
  }
}

TEST_CASE("Docker Hub answers under another name; plain HTTP is spoken only where it is allowed") {
  const auto url_of = [](const char* image, RegistrySettings settings) {
    ScriptedTransport transport(not_found);
    RegistryClient client(transport, std::move(settings), ImageReference::parse(image), std::nullopt);
    CHECK_THROWS_AS(client.manifest("3.8", {}), HttpError);
    return transport.requests.at(0).url;
  };
  CHECK(url_of("python:3.8", {}) == "https://registry-1.docker.io/v2/library/python/manifests/3.8");
  CHECK(url_of("registry.example:5000/a:3.8", {}) == "https://registry.example:5000/v2/a/manifests/3.8");
  RegistrySettings plain;
  plain.allow_plain_http = true;
  CHECK(url_of("registry.example:5000/a:3.8", plain) == "http://registry.example:5000/v2/a/manifests/3.8");
  RegistrySettings mirrored;
  mirrored.mirrors = {{"mirror.example", "hub/", false}};
  CHECK(url_of("python:3.8", mirrored) == "https://mirror.example/hub/v2/library/python/manifests/3.8");
}

TEST_CASE("a manifest that is not what its digest says is refused, and so is one of 100 MB") {
  FaultyRegistry registry;
  const Digest digest = registry.add_manifest("repo", "one", k_manifest);
  const auto transport = registry.make_transport();
  RegistryClient client = client_of(*transport, registry);
  registry.add_fault({{"fault", "wrong"}, {"at", 3}, {"times", 2}, {"path", "manifests"}});
  const Thrown by_digest = thrown_by<RemoteError>([&] { client.manifest(digest.to_string(), {}); });
  CHECK(contains(by_digest.message, digest.to_string()));
  CHECK(contains(thrown_by<RemoteError>([&] { client.manifest("one", {}); }).message, "as the registry says"));

  registry.add_fault({{"fault", "padding"}, {"bytes", 100'000'000}, {"path", "manifests"}});
  CHECK(contains(thrown_by<RemoteError>([&] { client.manifest("one", {}); }).message, "100000000 bytes"));
}

TEST_CASE("a missing tag names those that exist, the nearest first") {
  FaultyRegistry registry;
  for (const char* tag : {"3.7", "3.8", "3.9", "latest"}) registry.add_manifest("repo", tag, "{}");
  const auto transport = registry.make_transport();
  RegistryClient client = client_of(*transport, registry);
  const Thrown missing = thrown_by<HttpError>([&] { client.manifest("3.88", {}); });
  CHECK(contains(missing.message, "has no image repo:3.88"));
  CHECK(contains(missing.hint, "tags that exist (4 of 4): 3.8, "));

  registry.add_fault({{"fault", "status"}, {"status", 403}, {"path", "tags/list"}});
  CHECK(thrown_by<HttpError>([&] { client.manifest("3.88", {}); }).hint.empty());

  RegistryClient other(*transport, {}, ImageReference::parse(registry.host() + "/nothing:one"), std::nullopt);
  CHECK(contains(thrown_by<HttpError>([&] { other.manifest("one", {}); }).hint, "there is no repository nothing"));
}

TEST_CASE("a list of tags is read page by page") {
  FaultyRegistry registry;
  for (int i = 0; i < 25; ++i) registry.add_manifest("repo", "tag-" + std::to_string(100 + i), "{}");
  const auto transport = registry.make_transport();
  RegistryClient client = client_of(*transport, registry);
  CHECK(client.tags(10, {}).size() == 10);
  CHECK(client.tags(100, {}).size() == 25);
  // Small pages: the server pages by the number we ask for, so ask for what it must cut.
  registry.add_fault({{"fault", "body"},
                      {"path", "tags/list"},
                      {"body", R"({"tags":["a"]})"},
                      {"headers", {{"Link", "</v2/repo/tags/list?n=7&last=tag-110>; rel=\"next\""}}}});
  const std::vector<std::string> paged = client.tags(1000, {});
  CHECK(paged.size() == 15);
  CHECK(paged.front() == "a");
  CHECK(paged.back() == "tag-124");
}

TEST_CASE("a list of tags that goes on elsewhere, or for ever, ends") {
  FaultyRegistry registry;
  const auto transport = registry.make_transport();
  RegistryClient client = client_of(*transport, registry);
  registry.add_fault({{"fault", "body"},
                      {"path", "tags/list"},
                      {"body", R"({"tags":["a"]})"},
                      {"headers", {{"Link", "<" + registry.storage_origin() + "/v2/repo/tags/list>; rel=\"next\""}}}});
  CHECK(client.tags(10, {}).size() == 1);
  CHECK(registry.count("server", "storage") == 0);
  registry.add_fault({{"fault", "body"},
                      {"path", "tags/list"},
                      {"times", -1},
                      {"body", R"({"tags":["a"]})"},
                      {"headers", {{"Link", "</v2/repo/tags/list>; rel=\"next\""}}}});
  CHECK(client.tags(1000, {}).size() <= 100);
}

TEST_CASE("a blob is verified, and bounded") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_blob("0123456789");
  const auto transport = registry.make_transport();
  RegistryClient client = client_of(*transport, registry);
  CHECK(client.blob(blob, 10, {}) == "0123456789");
  CHECK_THROWS_AS(client.blob(blob, 9, {}), RemoteError);
  registry.add_fault({{"fault", "wrong"}, {"at", 3}, {"path", "blobs"}});
  CHECK(contains(thrown_by<RemoteError>([&] { client.blob(blob, 10, {}); }).message, blob.digest.to_string()));
}

TEST_CASE("no access says which credential was tried, and how to sign in") {
  FaultyRegistry registry(k_basic);
  const auto transport = registry.make_transport();
  const Thrown anonymous = thrown_by<HttpError>([&] { client_of(*transport, registry).manifest("one", {}); });
  CHECK(contains(anonymous.message, "HTTP 401: authentication required (without credentials)"));
  CHECK(contains(anonymous.hint, "mlctr login " + registry.host()));
  const Credential wrong{"alice", "wr0ng", "", "~/.docker/config.json"};
  const Thrown refused = thrown_by<HttpError>([&] { client_of(*transport, registry, {}, wrong).manifest("one", {}); });
  CHECK(contains(refused.message, "with the credential of ~/.docker/config.json"));
  CHECK(!contains(refused.message + refused.hint, "wr0ng"));
}

TEST_CASE("Docker Hub's limit for anonymous pulls has its hint") {
  ScriptedTransport transport([](const HttpRequest&) { return HttpResponse{429, {}, "", ""}; });
  RegistryClient client(transport, {}, ImageReference::parse("python:3.8"), std::nullopt);
  CHECK(contains(thrown_by<HttpError>([&] { client.manifest("3.8", {}); }).hint, "mlctr login docker.io"));
}

TEST_CASE("mirrors are asked first, anonymously; what they lack comes from the registry") {
  FaultyRegistry registry(k_basic);
  FaultyRegistry mirror;
  registry.add_manifest("repo", "one", k_manifest);
  const Descriptor mirrored = mirror.add_blob("from the mirror");
  const Descriptor missing = registry.add_blob("from the registry");
  ProgressBoard board;
  const auto transport = registry.make_transport(&board);
  RegistryClient client = client_of(*transport, registry, mirrored_by(mirror), k_alice);
  CHECK(client.blob(mirrored, 100, {}) == "from the mirror");
  CHECK(registry.log().empty());
  CHECK(client.blob(missing, 100, {}) == "from the registry");
  CHECK(client.manifest("one", {}).body == k_manifest);
  CHECK(mirror.count("authorization", "none") == mirror.log().size());
  bool noted = false;
  for (const std::string& note : board.take_notes()) noted = noted || contains(note, "mirror " + mirror.host());
  CHECK(noted);
}

TEST_CASE("a mirror whose manifest is none does not stop a pull") {
  FaultyRegistry registry;
  FaultyRegistry mirror;
  registry.add_manifest("repo", "one", k_manifest);
  mirror.add_manifest("repo", "one", "<html>sign in</html>");
  const auto transport = registry.make_transport();
  CHECK(client_of(*transport, registry, mirrored_by(mirror)).manifest("one", {}).body == k_manifest);
  registry.add_manifest("repo", "one", "{}");
  const Thrown both = thrown_by<RemoteError>([&] { client_of(*transport, registry).manifest("one", {}); });
  CHECK(contains(both.message, "/v2/repo/manifests/one: $."));
}

TEST_CASE("a mirror that wants a password gets none") {
  FaultyRegistry registry(k_basic);
  FaultyRegistry mirror(k_basic);
  const Descriptor blob = registry.add_blob("x");
  mirror.add_blob("x");
  const auto transport = registry.make_transport();
  CHECK(client_of(*transport, registry, mirrored_by(mirror), k_alice).blob(blob, 10, {}) == "x");
  CHECK(mirror.count("authorization", "basic") == 0);
}

TEST_CASE("a mirror with wrong bytes, or none at all, does not stop a pull") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_blob("0123456789");
  const auto transport = registry.make_transport();
  {
    FaultyRegistry mirror;
    mirror.add_blob("0123456789");
    mirror.add_fault({{"fault", "wrong"}, {"at", 3}, {"path", "blobs"}});
    CHECK(client_of(*transport, registry, mirrored_by(mirror)).blob(blob, 10, {}) == "0123456789");
    mirror.add_fault({{"fault", "oversized"}, {"bytes", 5}, {"path", "blobs"}});
    MemorySink sink;
    client_of(*transport, registry, mirrored_by(mirror)).download(blob, sink, {});
    CHECK(sink.text == "0123456789");
  }
  RegistrySettings dead;
  dead.mirrors = {{"127.0.0.1:1", "", true}};
  CHECK(client_of(*transport, registry, dead).blob(blob, 10, {}) == "0123456789");
}

TEST_CASE("a mirror whose bytes proved wrong is not asked again, and heard of once") {
  FaultyRegistry registry, mirror;
  const Descriptor first = registry.add_blob("0123456789"), second = registry.add_blob("abcdefghij");
  mirror.add_blob("0123456789");
  mirror.add_blob("abcdefghij");
  mirror.add_fault({{"fault", "wrong"}, {"at", 3}, {"path", "blobs"}, {"times", -1}});
  ProgressBoard board;
  const auto transport = registry.make_transport(&board);
  RegistryClient client = client_of(*transport, registry, mirrored_by(mirror));
  MemorySink bad, also_bad;
  client.download(first, bad, {});
  client.download(second, also_bad, {});
  CHECK(registry.log().empty());
  CHECK(client.reject(first.digest, "blob 84d89877 is corrupt"));
  CHECK(client.reject(second.digest, "blob 72399361 is corrupt"));
  const std::vector<std::string> notes = board.take_notes();
  REQUIRE(notes.size() == 1);
  CHECK(notes[0] == "mirror " + mirror.host() + " is not asked again: blob 84d89877 is corrupt");

  MemorySink good;
  client.download(first, good, {});
  CHECK(good.text == "0123456789");
  CHECK_FALSE(client.reject(first.digest, "it can't be"));  // the registry itself sent it: there is no other place
}

TEST_CASE("a mirror is not blamed for bytes that another place sent") {
  FaultyRegistry registry, mirror;
  const Descriptor blob = registry.add_blob("only the registry has it");
  const auto transport = registry.make_transport();
  RegistryClient client = client_of(*transport, registry, mirrored_by(mirror));
  MemorySink sink;
  client.download(blob, sink, {});
  CHECK_FALSE(client.reject(blob.digest, "it can't be"));
}

TEST_CASE("a mirror of many missing blobs is one line, and one that is away is asked once") {
  FaultyRegistry registry, mirror;
  ProgressBoard board;
  const auto transport = registry.make_transport(&board);
  RegistrySettings settings;
  settings.mirrors = {{mirror.host(), "", false}, {"127.0.0.1:1", "", true}};
  RegistryClient client = client_of(*transport, registry, settings);
  for (const char* content : {"one", "two", "three"}) CHECK(client.blob(registry.add_blob(content), 10, {}) == content);
  const std::vector<std::string> notes = board.take_notes();
  const auto about = [&](const std::string& what) {
    return std::count_if(notes.begin(), notes.end(), [&](const std::string& note) { return contains(note, what); });
  };
  CHECK(about("mirror " + mirror.host()) == 1);
  CHECK(about("mirror 127.0.0.1:1") == 1);
  CHECK(std::count_if(notes.begin(), notes.end(), [](const std::string& n) { return contains(n, "retrying"); }) <= 1);
}

TEST_CASE("a broken mirror's part of a blob is kept") {
  FaultyRegistry registry, mirror;
  const Descriptor blob = registry.add_random_blob(500'000, 1);
  mirror.add_random_blob(500'000, 1);
  mirror.add_fault({{"fault", "cut"}, {"at", 200'000}, {"path", "blobs"}});
  mirror.add_fault({{"fault", "status"}, {"status", 500}, {"times", -1}, {"path", "blobs"}});
  const auto transport = registry.make_transport();
  MemorySink sink;
  client_of(*transport, registry, mirrored_by(mirror)).download(blob, sink, {});
  CHECK(Digest::of(sink.text) == blob.digest);
  CHECK(registry.count("range", "bytes=200000-") == 1);
}

TEST_CASE("what a sink throws is not blamed on a mirror") {
  class FullDisk : public MemorySink {
   public:
    void append(std::span<const std::byte>) override { throw SysError("cannot write", ENOSPC); }
  };
  FaultyRegistry registry, mirror;
  const Descriptor blob = registry.add_blob("0123456789");
  mirror.add_blob("0123456789");
  const auto transport = registry.make_transport();
  FullDisk sink;
  CHECK_THROWS_AS(client_of(*transport, registry, mirrored_by(mirror)).download(blob, sink, {}), SysError);
  CHECK(registry.log().empty());
}

TEST_CASE("a foreign layer comes from its own address, without Authorization") {
  FaultyRegistry registry(k_basic);
  FaultyRegistry elsewhere;
  Descriptor layer = elsewhere.add_blob("foreign layer");
  layer.urls = {"ftp://127.0.0.1/x", elsewhere.origin() + "/gone", elsewhere.blob_url(layer)};
  const auto transport = registry.make_transport();
  MemorySink sink;
  client_of(*transport, registry, {}, k_alice).download(layer, sink, {});
  CHECK(sink.text == "foreign layer");
  CHECK(elsewhere.count("authorization", "none") == elsewhere.log().size());

  layer.urls.clear();
  MemorySink empty;
  CHECK_THROWS_AS(client_of(*transport, registry, {}, k_alice).download(layer, empty, {}), HttpError);
}
