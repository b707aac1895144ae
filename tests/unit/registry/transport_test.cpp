#include "registry/transport.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <atomic>
#include <thread>

#include "faulty_registry.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

HttpRequest get(std::string url) {
  HttpRequest request;
  request.url = std::move(url);
  return request;
}

TransportSettings impatient() {
  TransportSettings settings;
  settings.stall_timeout = std::chrono::seconds(1);
  return settings;
}

// Downloads and checks by digest: the server counted the bytes, we hash them.
MemorySink downloaded(FaultyRegistry& registry, const Descriptor& blob, MemorySink sink = MemorySink()) {
  const auto transport = registry.make_transport(nullptr, impatient());
  const HttpResponse response = transport->download(get(registry.blob_url(blob)), sink, blob.size_bytes, {});
  CHECK((response.status == 200 || response.status == 206));
  CHECK(Digest::of(sink.text) == blob.digest);
  return sink;
}

std::vector<std::string> ranges(FaultyRegistry& registry) {
  std::vector<std::string> asked;
  for (const json& entry : registry.log()) {
    asked.push_back(entry["range"].is_null() ? "" : entry["range"].get<std::string>());
  }
  return asked;
}

using Strings = std::vector<std::string>;

}  // namespace

TEST_CASE("a blob arrives whole, over one connection for many") {
  for (const Channel channel : {Channel::plain, Channel::tls}) {
    FaultyRegistry registry({}, channel);
    const auto transport = registry.make_transport();
    for (int i = 0; i < 4; ++i) {
      const Descriptor blob = registry.add_random_blob(300'000, i);
      MemorySink sink;
      CHECK(transport->download(get(registry.blob_url(blob)), sink, blob.size_bytes, {}).status == 200);
      CHECK(Digest::of(sink.text) == blob.digest);
    }
    CHECK(registry.log().front()["connection"] == registry.log().back()["connection"]);
    CHECK(registry.log().front()["agent"].get<std::string>().substr(0, 6) == "mlctr/");
  }
}

TEST_CASE("an empty blob, and one that is there already, need no request") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_blob("12345");
  downloaded(registry, registry.add_blob(""));
  downloaded(registry, blob, MemorySink("12345"));
  CHECK(registry.log().empty());
}

TEST_CASE("a cut connection resumes where it broke") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_random_blob(1'000'000, 1);
  registry.add_fault({{"fault", "cut"}, {"at", 300'000}, {"times", 3}});
  const MemorySink sink = downloaded(registry, blob);
  CHECK(sink.restarts == 0);
  CHECK(ranges(registry) == Strings{"", "bytes=300000-", "bytes=600000-", "bytes=900000-"});
}

TEST_CASE("progress resets the count of attempts") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_random_blob(1'000'000, 1);
  registry.add_fault({{"fault", "cut"}, {"at", 50'000}, {"times", 19}});
  downloaded(registry, blob);
  CHECK(registry.log().size() == 20);
}

TEST_CASE("a blob begun by an earlier run goes on") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_blob("0123456789");
  downloaded(registry, blob, MemorySink("01234"));
  CHECK(ranges(registry) == Strings{"bytes=5-"});
}

TEST_CASE("a leftover larger than the blob is begun anew") {
  FaultyRegistry registry;
  const MemorySink sink = downloaded(registry, registry.add_blob("0123456789"), MemorySink(std::string(11, 'x')));
  CHECK(sink.restarts == 1);
  CHECK(ranges(registry) == Strings{""});
}

TEST_CASE("a server without ranges starts over") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_random_blob(500'000, 1);
  registry.add_fault({{"fault", "cut"}, {"at", 200'000}});
  registry.add_fault({{"fault", "no-range"}, {"times", -1}});
  CHECK(downloaded(registry, blob).restarts == 1);
}

TEST_CASE("a server without ranges that always breaks at one point is given up") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_random_blob(500'000, 1);
  registry.add_fault({{"fault", "no-range"}, {"at", 200'000}, {"times", -1}});
  MemorySink sink;
  const auto transport = registry.make_transport();
  CHECK_THROWS_AS(transport->download(get(registry.blob_url(blob)), sink, blob.size_bytes, {}), NetworkError);
  CHECK(registry.count("status", 200) == 6);
}

TEST_CASE("a 206 of another range starts over") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_random_blob(500'000, 1);
  registry.add_fault({{"fault", "cut"}, {"at", 200'000}});
  registry.add_fault({{"fault", "wrong-range"}, {"shift", 5}});
  CHECK(downloaded(registry, blob).restarts == 1);
  CHECK(ranges(registry) == Strings{"", "bytes=200000-", ""});
}

TEST_CASE("more bytes than the manifest says are refused at once") {
  for (const bool declared : {true, false}) {
    FaultyRegistry registry;
    const Descriptor blob = registry.add_random_blob(100'000, 1);
    registry.add_fault({{"fault", "oversized"}, {"bytes", 50'000'000}, {"declared", declared}, {"times", -1}});
    MemorySink sink;
    const auto transport = registry.make_transport();
    const Thrown thrown =
        thrown_by<RemoteError>([&] { transport->download(get(registry.blob_url(blob)), sink, blob.size_bytes, {}); });
    CHECK(contains(thrown.message, "larger than its manifest says"));
    CHECK(sink.text.empty());
    CHECK(registry.log().size() == 1);
  }
}

TEST_CASE("fewer bytes than the manifest says are refused") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_blob("0123456789");
  registry.add_fault({{"fault", "short"}, {"bytes", 3}, {"times", -1}});
  MemorySink sink;
  const auto transport = registry.make_transport();
  const Thrown thrown =
      thrown_by<RemoteError>([&] { transport->download(get(registry.blob_url(blob)), sink, 10, {}); });
  CHECK(contains(thrown.message, "smaller than its manifest says: 7 bytes instead of 10"));
}

TEST_CASE("a body without a length is taken as far as its manifest says") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_random_blob(500'000, 1);
  registry.add_fault({{"fault", "chunked"}});
  downloaded(registry, blob);
}

TEST_CASE("a stalled transfer is broken off and resumed") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_random_blob(500'000, 1);
  registry.add_fault({{"fault", "stall"}, {"at", 100'000}, {"seconds", 60}});
  downloaded(registry, blob);
  CHECK(contains(ranges(registry).back(), "bytes=100000-"));
}

TEST_CASE("a slow transfer is no stalled one") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_random_blob(8'000, 1);
  registry.add_fault({{"fault", "trickle"}, {"bytes", 1'000}, {"seconds", 0.3}});
  downloaded(registry, blob);
  CHECK(registry.count("method", "GET") <= 1);
}

TEST_CASE("429 and 5xx are retried with a note, and Retry-After is kept") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_blob("0123456789");
  registry.add_fault({{"fault", "status"}, {"status", 429}, {"headers", {{"Retry-After", "1"}}}});
  registry.add_fault({{"fault", "status"}, {"status", 503}});
  ProgressBoard board;
  const auto transport = registry.make_transport(&board);
  MemorySink sink;
  CHECK(transport->download(get(registry.blob_url(blob) + "?signature=s3cret"), sink, 10, {}).status == 200);
  const Strings notes = board.take_notes();
  REQUIRE(notes.size() == 2);
  // 1 s as asked, and up to one more so that not all come back at once; 1.96 is shown as 2.0.
  CHECK((contains(notes[0], "retrying in 1.") || contains(notes[0], "retrying in 2.0")));
  CHECK(contains(notes[0], "HTTP 429"));
  CHECK(contains(notes[1], "HTTP 503"));
  CHECK(!contains(notes[0] + notes[1], "s3cret"));
}

TEST_CASE("the last answer is returned where the attempts are used up") {
  FaultyRegistry registry;
  registry.add_fault({{"fault", "status"}, {"status", 502}, {"times", -1}, {"path", "^/v2/"}});
  const auto transport = registry.make_transport();
  CHECK(transport->perform(get(registry.origin() + "/v2/"), {}).status == 502);
  CHECK(registry.count("status", 502) == 6);
}

TEST_CASE("a server that asks for a pause of an hour is not waited for") {
  FaultyRegistry registry;
  registry.add_fault(
      {{"fault", "status"}, {"status", 429}, {"times", -1}, {"headers", {{"Retry-After", "3600"}}}, {"path", "^/v2/"}});
  CHECK(registry.make_transport()->perform(get(registry.origin() + "/v2/"), {}).status == 429);
  CHECK(registry.count("status", 429) == 1);
}

TEST_CASE("Authorization stays at its origin") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_blob("0123456789");
  registry.add_fault({{"fault", "redirect"}, {"times", -1}, {"path", "blobs"}});
  HttpRequest request = get(registry.blob_url(blob));
  request.authorization = "Bearer t";
  MemorySink sink;
  CHECK(registry.make_transport()->download(request, sink, 10, {}).status == 200);
  const auto log = registry.log();
  REQUIRE(log.size() == 2);
  CHECK(log[0]["authorization"] == "bearer");
  CHECK(log[1]["server"] == "storage");
  CHECK(log[1]["authorization"] == "none");
}

TEST_CASE("it does not come back with a redirect to where it belongs") {
  FaultyRegistry registry;
  registry.add_fault({{"fault", "location"}, {"path", "^/start"}, {"location", registry.storage_origin() + "/away"}});
  registry.add_fault({{"fault", "location"}, {"path", "^/away"}, {"location", registry.origin() + "/v2/"}});
  HttpRequest request = get(registry.origin() + "/start");
  request.authorization = "Bearer t";
  CHECK(registry.make_transport()->perform(request, {}).status == 200);
  CHECK(registry.log().back()["path"] == "/v2/");
  CHECK(registry.log().back()["authorization"] == "none");
}

TEST_CASE("an expired signature is fetched anew from the registry") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_random_blob(500'000, 1);
  registry.add_fault({{"fault", "cut"}, {"at", 200'000}, {"path", "^/signed/"}});
  registry.add_fault({{"fault", "redirect"}, {"path", "blobs"}, {"uses", 1}});
  registry.add_fault({{"fault", "redirect"}, {"path", "blobs"}, {"uses", 0}});
  registry.add_fault({{"fault", "redirect"}, {"path", "blobs"}, {"uses", 1}});
  downloaded(registry, blob);
  CHECK(registry.count("status", 403) == 1);
}

TEST_CASE("redirects end: after ten, from https to http, and with a body to another origin") {
  FaultyRegistry registry({}, Channel::tls);
  const auto transport = registry.make_transport();
  registry.add_fault({{"fault", "location"}, {"path", "^/loop"}, {"times", -1}, {"location", "/loop"}});
  CHECK(contains(thrown_by<RemoteError>([&] { transport->perform(get(registry.origin() + "/loop"), {}); }).message,
                 "more than 10 redirects"));
  CHECK(registry.count("path", "/loop") == 11);

  registry.add_fault({{"fault", "location"}, {"path", "^/down"}, {"location", "http://127.0.0.1:1/x?sig=s3cret"}});
  const Thrown down = thrown_by<RemoteError>([&] { transport->perform(get(registry.origin() + "/down"), {}); });
  CHECK(contains(down.message, "refusing a redirect from https to http://127.0.0.1:1/x"));
  CHECK(!contains(down.message, "s3cret"));

  registry.add_fault({{"fault", "location"}, {"path", "^/post"}, {"location", registry.storage_origin() + "/take"}});
  HttpRequest post = get(registry.origin() + "/post");
  post.method = "POST";
  post.body = "refresh_token=s3cret";
  CHECK_THROWS_AS(transport->perform(post, {}), RemoteError);
  CHECK(registry.count("server", "storage") == 0);

  registry.add_fault({{"fault", "location"}, {"path", "^/file"}, {"location", "file:///etc/passwd"}});
  CHECK_THROWS_AS(transport->perform(get(registry.origin() + "/file"), {}), RemoteError);
}

TEST_CASE("an answer is kept up to its limit") {
  FaultyRegistry registry;
  registry.add_fault({{"fault", "padding"}, {"bytes", 100'000'000}, {"path", "^/v2/"}});
  const Thrown thrown =
      thrown_by<RemoteError>([&] { registry.make_transport()->perform(get(registry.origin() + "/v2/"), {}); });
  CHECK(contains(thrown.message, "100000000 bytes"));
}

TEST_CASE("line breaks in a header value are refused before anything is sent") {
  FaultyRegistry registry;
  HttpRequest request = get(registry.origin() + "/v2/");
  request.authorization = "Bearer s3cret\r\nX-Evil: 1";
  const Thrown thrown = thrown_by<Error>([&] { registry.make_transport()->perform(request, {}); });
  CHECK(!contains(thrown.message, "s3cret"));
  CHECK(registry.log().empty());
}

namespace {

class FailingSink : public MemorySink {
 public:
  void append(std::span<const std::byte>) override { throw SysError("cannot write layer", ENOSPC); }
};

}  // namespace

TEST_CASE("what a sink throws ends its download only") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_blob("0123456789");
  const auto transport = registry.make_transport();
  FailingSink full;
  CHECK(contains(thrown_by<SysError>([&] { transport->download(get(registry.blob_url(blob)), full, 10, {}); }).message,
                 "cannot write layer"));
  MemorySink sink;
  transport->download(get(registry.blob_url(blob)), sink, 10, {});
  CHECK(sink.text == "0123456789");
}

TEST_CASE("a stop ends whatever blocks: an answer, a pause, a transfer") {
  FaultyRegistry registry;
  const Descriptor blob = registry.add_random_blob(500'000, 1);
  const auto stopped = [&](const json& fault) {
    registry.add_fault(fault);
    TransportSettings settings;
    const auto transport = make_curl_transport(settings, nullptr);  // long stall timeout and backoff
    std::stop_source source;
    std::atomic<bool> cancelled{false};
    std::thread worker([&] {
      MemorySink sink;
      try {
        transport->download(get(registry.blob_url(blob)), sink, blob.size_bytes, source.get_token());
      } catch (const Cancelled&) {
        cancelled = true;
      }
    });
    // Until the server has the request: the answer can't come any more.
    while (registry.log().empty() && fault["fault"] == "status") std::this_thread::yield();
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    source.request_stop();
    worker.join();
    CHECK(cancelled);
  };
  SUBCASE("answer") {
    stopped({{"fault", "hang"}, {"seconds", 600}, {"path", "blobs"}});
  }
  SUBCASE("transfer") {
    stopped({{"fault", "stall"}, {"at", 10}, {"seconds", 600}, {"path", "blobs"}});
  }
  SUBCASE("pause") {
    stopped({{"fault", "status"}, {"status", 429}, {"headers", {{"Retry-After", "100"}}}, {"path", "blobs"}});
  }
  SUBCASE("before it began") {
    std::stop_source source;
    source.request_stop();
    MemorySink sink;
    CHECK_THROWS_AS(registry.make_transport()->download(get(registry.blob_url(blob)), sink, 1, source.get_token()),
                    Cancelled);
  }
}

TEST_CASE("many transfers share one transport") {
  FaultyRegistry registry;
  const auto transport = registry.make_transport(nullptr, impatient());
  registry.add_fault({{"fault", "cut"}, {"at", 100'000}, {"times", 8}});
  std::vector<Descriptor> blobs;
  for (int i = 0; i < 8; ++i) blobs.push_back(registry.add_random_blob(400'000, i));
  std::atomic<int> good{0};
  std::vector<std::thread> workers;
  for (const Descriptor& blob : blobs) {
    workers.emplace_back([&] {
      MemorySink sink;
      transport->download(get(registry.blob_url(blob)), sink, blob.size_bytes, {});
      if (Digest::of(sink.text) == blob.digest) ++good;
    });
  }
  for (std::thread& worker : workers) worker.join();
  CHECK(good == 8);
}

TEST_CASE("network failures say what to look at") {
  TransportSettings settings;
  settings.first_backoff = std::chrono::milliseconds(1);
  const auto transport = make_curl_transport(settings, nullptr);
  // Port 1 (tcpmux) is closed on every machine we build on.
  const Thrown refused = thrown_by<NetworkError>([&] { transport->perform(get("http://127.0.0.1:1/v2/"), {}); });
  CHECK(contains(refused.message, "GET http://127.0.0.1:1/v2/: cannot connect: Connection refused"));
  CHECK(contains(refused.hint, "127.0.0.1:1"));
  // A label of 64 characters: the resolver refuses it by itself, no question leaves this machine.
  const std::string nowhere = std::string(64, 'x') + ".invalid";
  const Thrown unknown = thrown_by<NetworkError>([&] { transport->perform(get("https://" + nowhere + "/v2/"), {}); });
  CHECK(contains(unknown.message, nowhere));
  CHECK(contains(unknown.hint, "spelled right"));

  FaultyRegistry plain;
  const Thrown no_tls =
      thrown_by<NetworkError>([&] { transport->perform(get("https://" + plain.host() + "/v2/"), {}); });
  CHECK(contains(no_tls.hint, "plain_http = true"));
}

TEST_CASE("an unknown CA names its setting, a wrong date shows this machine's") {
  FaultyRegistry registry({}, Channel::tls);
  const auto strict = make_curl_transport({}, nullptr);
  const Thrown unknown = thrown_by<NetworkError>([&] { strict->perform(get(registry.origin() + "/v2/"), {}); });
  CHECK(contains(unknown.hint, "ca_file"));
  CHECK(contains(unknown.hint, registry.host()));

  const TemporaryDirectory directory;
  const Certificate expired = make_certificate(directory.path(), -1);
  FaultyRegistry old({"--tls", expired.certificate.string(), expired.key.string()});
  TransportSettings trusting;
  trusting.host_settings = [&](const std::string&) {
    HostSettings host;
    host.ca_file = expired.certificate.string();
    return host;
  };
  const auto transport = make_curl_transport(trusting, nullptr);
  const Thrown date = thrown_by<NetworkError>([&] { transport->perform(get("https://" + old.host() + "/v2/"), {}); });
  CHECK(contains(date.hint, "this machine's date is 20"));
}

TEST_CASE("TLS without verification warns, once a host") {
  FaultyRegistry registry({}, Channel::tls);
  TransportSettings settings;
  settings.host_settings = [](const std::string&) {
    HostSettings host;
    host.verify_tls = false;
    return host;
  };
  ProgressBoard board;
  const auto transport = registry.make_transport(&board, settings);
  CHECK(transport->perform(get(registry.origin() + "/v2/"), {}).status == 200);
  CHECK(transport->perform(get(registry.origin() + "/v2/"), {}).status == 200);
  const Strings notes = board.take_notes();
  REQUIRE(notes.size() == 1);
  CHECK(contains(notes[0], "not verified"));
}

TEST_CASE("proxies come from the environment, but never for loopback or where no_proxy says so") {
  FaultyRegistry proxy;
  // A label of 64 characters has no address anywhere: without the proxy it can't be reached.
  const std::string far = std::string(64, 'x') + ".invalid";
  REQUIRE(::setenv("http_proxy", proxy.origin().c_str(), 1) == 0);
  CHECK(proxy.make_transport()->perform(get("http://" + far + "/v2/"), {}).status == 404);
  CHECK(proxy.count("path", "http://" + far + "/v2/") == 1);

  REQUIRE(::setenv("no_proxy", "other.invalid,.invalid", 1) == 0);
  CHECK_THROWS_AS(proxy.make_transport()->perform(get("http://" + far + "/v2/"), {}), NetworkError);
  ::unsetenv("no_proxy");

  REQUIRE(::setenv("http_proxy", "http://127.0.0.1:1", 1) == 0);
  CHECK(proxy.make_transport()->perform(get(proxy.origin() + "/v2/"), {}).status == 200);
  ::unsetenv("http_proxy");
}
