#include "hooks/nvidia_cdi_hook.hpp"

#include <doctest/doctest.h>

#include "hooks/document.hpp"

using namespace mlctr::hooks;

namespace {

std::optional<NvidiaCdiHook> parse(std::string path, std::vector<std::string> arguments) {
  return parse_nvidia_cdi_hook({.line = 1,
                                .stage = "createContainer",
                                .path = std::move(path),
                                .arguments = std::move(arguments)});
}

}  // namespace

TEST_CASE("NVIDIA's hooks are known by both of their programs") {
  const std::vector<std::string> links{"create-symlinks", "--link", "a.so.1::/lib/a.so", "--link=../b::/lib/x/c"};
  for (const char* path : {"/usr/bin/nvidia-cdi-hook", "/usr/local/nvidia/toolkit/nvidia-cdi-hook.real"}) {
    std::vector<std::string> arguments{"nvidia-cdi-hook"};
    arguments.insert(arguments.end(), links.begin(), links.end());
    const auto read = std::get<CreateSymlinks>(parse(path, arguments).value()).links;
    REQUIRE(read.size() == 2);
    CHECK(read[0].target == "a.so.1");
    CHECK(read[0].path == "/lib/a.so");
    CHECK(read[1].target == "../b");
    CHECK(read[1].path == "/lib/x/c");
  }
  const auto folders = parse("/usr/bin/nvidia-ctk", {"nvidia-ctk", "--debug", "hook", "update-ldcache", "--ldconfig-path",
                                                     "@/sbin/ldconfig", "--folder", "/lib/a", "--folder=/lib/b"});
  CHECK(std::get<UpdateLoaderCache>(folders.value()).folders == std::vector<std::string>{"/lib/a", "/lib/b"});
}

TEST_CASE("each of the toolkit's hooks is known") {
  const auto of = [](const char* name) { return parse("/usr/bin/nvidia-cdi-hook", {"nvidia-cdi-hook", name}).value(); };
  CHECK(std::holds_alternative<EnableCudaCompat>(
      parse("/usr/bin/nvidia-cdi-hook", {"x", "enable-cuda-compat", "--host-driver-version=580.1.2"}).value()));
  CHECK(std::holds_alternative<ChangeModes>(
      parse("/usr/bin/nvidia-cdi-hook", {"x", "chmod", "--mode", "755", "--path", "/dev/dri"}).value()));
  CHECK(std::holds_alternative<DisableNodeModification>(of("disable-device-node-modification")));
  CHECK(std::holds_alternative<UpdateApplicationProfile>(of("update-application-profile")));
  CHECK(std::get<UnknownNvidiaHook>(of("new-in-2027")).name == "new-in-2027");
}

TEST_CASE("another program is not NVIDIA's, and a senseless argument is an error") {
  CHECK_FALSE(parse("/usr/bin/vendor-hook", {"vendor-hook", "create-symlinks"}).has_value());
  CHECK_FALSE(parse("/usr/bin/nvidia-ctk", {"nvidia-ctk", "runtime"}).has_value());
  const auto bad = [](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "nvidia-cdi-hook");
    CHECK_THROWS_AS(parse("/usr/bin/nvidia-cdi-hook", arguments), DocumentError);
  };
  bad({"create-symlinks", "--link", "a"});
  bad({"create-symlinks", "--link", "::/lib/a"});
  bad({"create-symlinks", "--link", "a::lib/a"});
  bad({"create-symlinks", "a::/lib/a"});
  bad({"update-ldcache", "--folder", "lib"});
}
