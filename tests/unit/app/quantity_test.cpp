#include "app/quantity.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;

TEST_CASE("sizes: units with an i are powers of 1024, the others of 1000") {
  CHECK(parse_size("0") == 0);
  CHECK(parse_size("4096") == 4096);
  CHECK(parse_size("12B") == 12);
  CHECK(parse_size("50GiB") == 53'687'091'200);
  CHECK(parse_size("50 GB") == 50'000'000'000);
  CHECK(parse_size("50g") == 50'000'000'000);
  CHECK(parse_size("1.5MiB") == 1'572'864);
  CHECK(parse_size("0.1KB") == 100);
  CHECK(parse_size("8388607TiB") == 9'223'370'937'343'148'032u);
}

TEST_CASE("hostile input: what is no size is refused with a form that would be") {
  for (const char* text : {"", " ", "G", "GiB", "-1", "+1", "1e9", "1.2.3G", "1..G", ".5G", "5.G5", "1 0G", "50GiBs",
                           "0x10", "99999999999999999999", "8388608TiB", "99999999TiB", "nan", "1G\n"}) {
    CAPTURE(text);
    CHECK(test::contains(test::thrown_by<UsageError>([&] { parse_size(text); }).hint, "50GiB"));
  }
}

TEST_CASE("durations are in seconds unless they say otherwise") {
  CHECK(parse_duration("30") == std::chrono::seconds(30));
  CHECK(parse_duration("30s") == std::chrono::seconds(30));
  CHECK(parse_duration("5m") == std::chrono::minutes(5));
  CHECK(parse_duration("2h") == std::chrono::hours(2));
  CHECK(parse_duration("7d") == std::chrono::hours(168));
  for (const char* text : {"", "s", "-3s", "3 weeks", "3ms", "99999999999999999999d", "9223372036854775807d"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(parse_duration(text), UsageError);
  }
}

TEST_CASE("a size is written so that it reads back as itself") {
  CHECK(write_size(0) == "0");
  CHECK(write_size(50ull << 30) == "50GiB");
  CHECK(write_size(500'000'000) == "500MB");
  for (const std::uint64_t bytes : {0ull, 1ull, 999ull, 1000ull, 1024ull, 1536ull, 256ull << 30, 1'000'000'007ull}) {
    CHECK(parse_size(write_size(bytes)) == bytes);
  }
}
