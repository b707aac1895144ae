// The plugin as a file that Slurm's programs load.
#include <dlfcn.h>
#include <doctest/doctest.h>
#include <stdio.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "plugin_process.hpp"

using namespace mlctr::test;

namespace {

std::string output_of(const std::string& command) {
  std::string text;
  FILE* const pipe = ::popen(command.c_str(), "r");
  REQUIRE(pipe != nullptr);
  for (int c = 0; (c = ::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
  REQUIRE(::pclose(pipe) == 0);
  return text;
}

}  // namespace

TEST_CASE("it exports Slurm's symbols and no other") {
  CHECK(output_of("nm -D --defined-only --format=posix " SPANK_MLCTR " | cut -d' ' -f1 | LC_ALL=C sort") ==
        "plugin_name\nplugin_type\nplugin_version\nslurm_spank_init\nslurm_spank_init_post_opt\n"
        "slurm_spank_task_init\nspank_plugin_version\n");
}

TEST_CASE("it needs libc alone") {
  CHECK(output_of("readelf -d " SPANK_MLCTR " | sed -n 's/.*(NEEDED).*\\[\\(.*\\)\\]/\\1/p'") == "libc.so.6\n");
}

#ifndef __SANITIZE_ADDRESS__  // which has memory of its own beside all memory
namespace {

long resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::stol(line.substr(6));
  }
  return 0;
}

}  // namespace

TEST_CASE("it adds little to slurmstepd's memory") {
  const long before = resident_kib();
  const PluginResult result = in_process([before](Plugin& plugin) {
    plugin.call("init");
    for (const char* option : {"container-image", "container-name", "container-workdir", "container-save"}) {
      plugin.option(option, "x", 1);
    }
    plugin.call("init_post_opt");
    say(resident_kib() - before <= 1024 ? "little" : "much");
  });
  CHECK(result.written == "little");
}
#endif
