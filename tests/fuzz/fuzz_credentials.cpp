// The first byte picks the format: "j" Docker's config.json, "n" netrc, "b" base64. The rest is the file.
#include <cstdlib>
#include <string_view>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "registry/base64.hpp"
#include "registry/docker_config.hpp"
#include "registry/netrc.hpp"

using namespace mlctr;

namespace {

void expect(bool holds) {
  if (!holds) std::abort();
}

void look_up_in_docker_config(std::string_view text) {
  const DockerConfig config = DockerConfig::parse(text);
  for (const char* registry : {"docker.io", "ghcr.io", "localhost:5000"}) {
    if (const auto helper = config.helper_of(registry)) expect(helper->find('\0') == std::string::npos);
    if (const auto found = config.find({.registry = registry, .repository = "library/x", .user = "u"})) {
      expect(found->username.empty() || found->username == "u");
    }
    static_cast<void>(config.find({.registry = registry, .repository = "a/b", .user = {}}));
  }
  static_cast<void>(config.default_helper());
}

void look_up_in_netrc(std::string_view text) {
  const Netrc netrc = Netrc::parse(text);
  for (const char* registry : {"docker.io", "nvcr.io:443", "[::1]:5000"}) {
    static_cast<void>(netrc.find({.registry = registry, .repository = "x", .user = {}}));
  }
}

void check_base64(std::string_view text) {
  expect(decode_base64(encode_base64(text)) == std::string(text));
  static_cast<void>(decode_base64(text));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    switch (data[0]) {
      case 'j':
        look_up_in_docker_config(text);
        break;
      case 'n':
        look_up_in_netrc(text);
        break;
      default:
        check_base64(text);
        break;
    }
  } catch (const Error& error) {
    expect(printable(error.message(), 1u << 20) == error.message());
  }
  return 0;
}
