#include "registry/url.hpp"

#include <doctest/doctest.h>

#include "registry/transport.hpp"

using namespace mlctr;

TEST_CASE("a URL is taken apart") {
  const Url url = Url::parse("HTTPS://Registry.Example:5000/v2/a/b?sig=secret#part");
  CHECK(url.scheme() == Scheme::https);
  CHECK(url.host() == "registry.example");
  CHECK(url.port() == "5000");
  CHECK(url.host_and_port() == "registry.example:5000");
  CHECK(url.shown() == "https://registry.example:5000/v2/a/b");
  CHECK(Url::parse("http://h/").port() == "80");
  CHECK(Url::parse("https://h:443/x").host_and_port() == "h");
}

TEST_CASE("user and password in a URL are neither sent nor shown") {
  const Url url = Url::parse("https://alice:s3cret@host/x?q=1");
  CHECK(url.text() == "https://host/x?q=1");
  CHECK(url.shown().find("s3cret") == std::string::npos);
}

TEST_CASE("hostile URLs are refused, and not repeated in the message") {
  for (const std::string text :
       {"", "host/path", "ftp://h/", "file:///etc/passwd", "javascript:alert(1)", "https://", "https://h/\r\nX: y",
        "https://h:99999/", "gopher://s3cret@h/", "https://h ost/s3cret"}) {
    CAPTURE(text);
    try {
      Url::parse(text);
      FAIL("accepted");
    } catch (const RemoteError& error) {
      CHECK(error.message().find("s3cret") == std::string::npos);
    }
  }
  CHECK_THROWS_AS(Url::parse("https://h/" + std::string(100'000, 'a')), RemoteError);
}

TEST_CASE("Location headers resolve as RFC 3986 (5.4) says") {
  const Url base = Url::parse("http://a/b/c/d;p?q");
  CHECK(base.resolve("g").text() == "http://a/b/c/g");
  CHECK(base.resolve("/g").text() == "http://a/g");
  CHECK(base.resolve("//g").text() == "http://g/");
  CHECK(base.resolve("?y").text() == "http://a/b/c/d;p?y");
  CHECK(base.resolve("../../g").text() == "http://a/g");
  CHECK(base.resolve("https://other:1/x y").text() == "https://other:1/x%20y");
  CHECK_THROWS_AS(base.resolve("file:///etc/passwd"), RemoteError);
}

TEST_CASE("only real loopback addresses are loopback") {
  for (const std::string host :
       {"localhost", "LOCALHOST:5000", "127.0.0.1", "127.8.9.10:5000", "[::1]:5000", "2130706433"}) {
    CAPTURE(host);
    CHECK(Url::parse("http://" + host + "/").is_loopback());
  }
  for (const std::string host :
       {"localhost.example", "127.example", "128.0.0.1", "[::2]", "127.0.0.1.nip.example", "xlocalhost"}) {
    CAPTURE(host);
    CHECK(!Url::parse("http://" + host + "/").is_loopback());
  }
}

TEST_CASE("an origin is scheme, host and port") {
  const Url url = Url::parse("https://h/a");
  CHECK(url.has_same_origin(Url::parse("https://H:443/b?c")));
  CHECK(!url.has_same_origin(Url::parse("http://h/a")));
  CHECK(!url.has_same_origin(Url::parse("https://h:444/a")));
  CHECK(!url.has_same_origin(Url::parse("https://h.evil/a")));
}

TEST_CASE("query values are encoded, and added to what a realm has already") {
  CHECK(Url::parse("https://h/token").with_query("scope", "repository:a/b:pull").text() ==
        "https://h/token?scope=repository%3Aa%2Fb%3Apull");
  CHECK(Url::parse("https://h/token?x=1").with_query("service", "a&b=c d").text() ==
        "https://h/token?x=1&service=a%26b%3Dc%20d");
}
