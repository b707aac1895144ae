#include "runtime/ld_cache.hpp"

#include <doctest/doctest.h>

#include <algorithm>

#include "base/file.hpp"
#include "runtime/driver_loader.hpp"
#include "runtime/forward_compat.hpp"

using namespace mlctr;
using namespace mlctr::runtime;

namespace {

std::vector<std::string> lines_of(const LdCache& cache) {
  std::vector<std::string> lines;
  for (const LdCacheEntry& entry : cache.entries) lines.push_back(entry.name + " " + entry.path);
  return lines;
}

}  // namespace

TEST_CASE("what ldconfig wrote is read, and written with nothing lost") {
  const std::string bytes = read_file_if_any("/etc/ld.so.cache");
  if (bytes.empty()) return;  // a machine without glibc
  const auto cache = parse_ld_cache(bytes);
  REQUIRE(cache.has_value());
  CHECK(cache->entries.size() > 10);
  const auto again = parse_ld_cache(write_ld_cache(*cache));
  REQUIRE(again.has_value());
  CHECK(lines_of(*again) == lines_of(*cache));  // our order is ldconfig's
  CHECK(again->hwcap_names == cache->hwcap_names);
  CHECK(again->extensions.size() == cache->extensions.size());
}

TEST_CASE("names are in the loader's order") {
  CHECK(is_lower_in_ld_cache("libz.so.1", "libz.so.10"));
  CHECK(is_lower_in_ld_cache("libz.so.9", "libz.so.10"));
  CHECK(is_lower_in_ld_cache("libz.so", "libz.so.1"));
  CHECK(is_lower_in_ld_cache("liba.so.1", "libb.so.1"));
  CHECK(is_lower_in_ld_cache("libx-.so", "libx1.so"));  // a digit above all else
  CHECK_FALSE(is_lower_in_ld_cache("libz.so.1", "libz.so.1"));
}

TEST_CASE("what contradicts itself is no cache") {
  LdCache cache;
  cache.entries.push_back({0x303, "libx.so.1", "/lib/libx.so.1", 0, 0});
  cache.extensions.push_back({0, "generator"});
  const std::string good = write_ld_cache(cache);
  REQUIRE(parse_ld_cache(good).has_value());
  for (std::size_t size = 0; size < 48; ++size) CHECK_FALSE(parse_ld_cache(good.substr(0, size)).has_value());
  std::string many = good;
  many[23] = '\x7f';  // 2 milliard entries
  CHECK_FALSE(parse_ld_cache(many).has_value());
  std::string outside = good;
  outside[48 + 4 + 3] = '\x7f';  // a name far behind the end
  CHECK_FALSE(parse_ld_cache(outside).has_value());
  CHECK_FALSE(parse_ld_cache("ld.so-1.7.0").has_value());
  CHECK_FALSE(parse_ld_cache("").has_value());
}

TEST_CASE("a cache that ldconfig wrote with a driver at hand gives it up") {
  LdCache cache;
  cache.entries.push_back({0x303, "libx.so.1", "/lib/libx.so.1", 0, 0});
  CHECK_FALSE(without_driver(write_ld_cache(cache)).has_value());
  cache.entries.push_back({0x303, "libcuda.so.1", "/run/mlctr/driver/lib64/libcuda.so.1", 0, 0});
  const auto former = without_driver(write_ld_cache(cache));
  REQUIRE(former.has_value());
  CHECK(former->owner == CacheOwner::container);
  CHECK(lines_of(*parse_ld_cache(former->bytes)) == std::vector<std::string>{"libx.so.1 /lib/libx.so.1"});
}

TEST_CASE("an image's libcuda goes first where it fits the driver") {
  CHECK(fits_driver(570, "", 535));
  CHECK_FALSE(fits_driver(535, "", 535));
  CHECK_FALSE(fits_driver(470, "", 535));
  CHECK(fits_driver(570, R"({"CUDA Version": "12.8", "Driver": [535, 550]})", 535));
  CHECK_FALSE(fits_driver(570, R"({"CUDA Version": "12.8", "Driver": [535, 550]})", 560));
  CHECK_FALSE(fits_driver(570, "not JSON", 535));
}
