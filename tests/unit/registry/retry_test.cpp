#include "registry/retry.hpp"

#include <doctest/doctest.h>
#include <time.h>

#include <clocale>
#include <string>

using namespace mlctr;
using std::chrono::milliseconds;

TEST_CASE("HTTP dates agree with the C library's") {
  for (std::time_t when = 0; when < 4'000'000'000; when += 98'765'432) {
    tm parts{};
    gmtime_r(&when, &parts);
    char text[64];
    REQUIRE(strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts) > 0);
    CHECK(parse_http_date(text) == when);
  }
}

TEST_CASE("what is no HTTP date is refused") {
  for (const char* text :
       {"", "Sun, 06 Nov 1994 08:49:37", "Sun, 31 Feb 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT", "Sun, 06 Nov 1994 08:4a:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun, -6 Nov 1994 08:49:37 GMT"}) {
    CAPTURE(text);
    CHECK(!parse_http_date(text));
  }
}

TEST_CASE("Retry-After is a number of seconds or a date to come") {
  constexpr std::time_t k_now = 784111777;  // Sun, 06 Nov 1994 08:49:37 GMT, RFC 9110's own example
  CHECK(parse_retry_after("7", k_now) == milliseconds(7000));
  CHECK(parse_retry_after(" 0 ", k_now) == milliseconds(0));
  CHECK(parse_retry_after("Sun, 06 Nov 1994 08:50:07 GMT", k_now) == milliseconds(30'000));
  CHECK(!parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", k_now));
  CHECK(!parse_retry_after("-3", k_now));
  CHECK(!parse_retry_after("1.5", k_now));
  CHECK(!parse_retry_after("soon", k_now));
  CHECK(!parse_retry_after("", k_now));
  CHECK(parse_retry_after("99999999999999999999999999", k_now) > milliseconds(k_longest_retry_after));
}

TEST_CASE("backoff doubles up to 30 s, a quarter more or less") {
  const milliseconds first(500);
  CHECK(backoff(1, first, 0.5) == milliseconds(500));
  CHECK(backoff(2, first, 0.5) == milliseconds(1000));
  CHECK(backoff(4, first, 0.5) == milliseconds(4000));
  CHECK(backoff(4'000'000'000u, first, 0.5) == milliseconds(30'000));
  CHECK(backoff(1, first, 0) == milliseconds(375));
  CHECK(backoff(1, first, 1) == milliseconds(625));
}
