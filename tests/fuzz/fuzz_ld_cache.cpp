// An ld.so.cache of an image: whatever it is, what is read from it is written and read again as the same.
#include <cstdlib>

#include "runtime/driver_loader.hpp"
#include "runtime/ld_cache.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace mlctr::runtime;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  without_driver(bytes);
  const auto cache = parse_ld_cache(bytes);
  if (!cache) return 0;
  const std::string written = write_ld_cache(*cache);
  if (written.size() > k_max_ld_cache_bytes) return 0;
  const auto again = parse_ld_cache(written);
  if (!again || again->entries.size() != cache->entries.size()) std::abort();
  return 0;
}
