// The first line is the registry's Content-Type, the rest a manifest. One that is taken is written and read back the
// same.
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "image/manifest.hpp"

using namespace mlctr;

namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

void check_image(const Manifest& manifest) {
  const std::string body = write_manifest(manifest);
  const Manifest again = std::get<Manifest>(parse_manifest(body, {}));
  expect(again.layers.size() == manifest.layers.size());
  expect(write_manifest(again) == body);
}

void check_index(const Index& index) {
  for (const char* platform : {"amd64", "arm64", "linux/arm/v7", "windows/amd64"}) {
    try {
      expect(!choose_platform(index, Platform::parse(platform)).is_attestation);
    } catch (const Error& error) {
      expect(printable(error.message(), 1u << 20) == error.message());
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::size_t line_end = std::min(text.find('\n'), text.size());
  const std::string_view body = text.substr(std::min(line_end + 1, text.size()));
  try {
    const auto parsed = parse_manifest(body, text.substr(0, line_end));
    if (const auto* manifest = std::get_if<Manifest>(&parsed)) check_image(*manifest);
    if (const auto* index = std::get_if<Index>(&parsed)) check_index(*index);
  } catch (const Error& error) {
    expect(printable(error.message(), 1u << 20) == error.message());
  }
  return 0;
}
