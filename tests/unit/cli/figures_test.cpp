#include "cli/figures.hpp"

#include <doctest/doctest.h>

using namespace mlctr::cli;
using namespace std::chrono_literals;

TEST_CASE("sizes have the digits people can use") {
  CHECK(format_bytes(0) == "0 B");
  CHECK(format_bytes(999) == "999 B");
  CHECK(format_bytes(1'000) == "1 kB");
  CHECK(format_bytes(999'400) == "999 kB");
  CHECK(format_bytes(999'600) == "1.0 MB");  // never "1000 kB"
  CHECK(format_bytes(4'100'000) == "4.1 MB");
  CHECK(format_bytes(9'960'000) == "10 MB");
  CHECK(format_bytes(219'000'000) == "219 MB");
  CHECK(format_bytes(1'040'000'000) == "1.04 GB");
  CHECK(format_bytes(25'300'000'000) == "25.3 GB");
  CHECK(format_bytes(~0ull) == "18447 PB");
}

TEST_CASE("a part has the unit of the whole") {
  CHECK(format_bytes_of(412'000'000, 1'040'000'000) == "412/1040 MB");
  CHECK(format_bytes_of(48'200'000, 97'000'000) == "48.2/97.0 MB");
  CHECK(format_bytes_of(3'210'000'000, 25'300'000'000) == "3.21/25.30 GB");
  CHECK(format_bytes_of(0, 900) == "0/1 kB");
}

TEST_CASE("rates too slow to name are zero, not bytes") {
  CHECK(format_rate(0) == "0 kB/s");
  CHECK(format_rate(999) == "0 kB/s");
  CHECK(format_rate(98e6) == "98 MB/s");
  CHECK(format_rate(1.2e9) == "1.20 GB/s");
}

TEST_CASE("times") {
  CHECK(format_duration(4120ms) == "4.1 s");
  CHECK(format_duration(9960ms) == "10 s");
  CHECK(format_duration(59100ms) == "1m00s");
  CHECK(format_rough_duration(3.2s) == "4 s");  // an estimate that is over before time annoys
  CHECK(format_rough_duration(185s) == "3m05s");
  CHECK(format_rough_duration(3720s) == "1h02m");
  CHECK(format_rough_duration(100h) == "4d04h");
  CHECK(format_rough_duration(std::chrono::duration<double>(1e300)) == "999d00h");
  CHECK(format_rough_duration(-1s) == "0 s");
}

TEST_CASE("ages name the largest unit that still says something") {
  CHECK(format_age(0s) == "just now");
  CHECK(format_age(-5s) == "just now");  // another node's clock
  CHECK(format_age(1s) == "1 second ago");
  CHECK(format_age(59min) == "59 minutes ago");
  CHECK(format_age(25h) == "1 day ago");
  CHECK(format_age(24h * 9) == "9 days ago");
  CHECK(format_age(24h * 15) == "2 weeks ago");
}
