// An image's config: whatever is taken has no NUL where the kernel would cut it short.
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "image/config.hpp"

using namespace mlctr;

namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  try {
    const ImageConfig config = parse_image_config({reinterpret_cast<const char*>(data), size});
    for (const auto* strings :
         {&config.environment, &config.entrypoint, &config.command, &config.shell, &config.volumes}) {
      for (const std::string& text : *strings) expect(text.find('\0') == std::string::npos);
    }
    for (const std::string& text : config.environment)
      expect(text.find('=') != std::string::npos && text.front() != '=');
  } catch (const Error& error) {
    expect(printable(error.message(), 1u << 20) == error.message());
  }
  return 0;
}
