#include "app/site_probes.hpp"

#include <doctest/doctest.h>

#include "temporary_directory.hpp"

using namespace mlctr;

TEST_CASE("the driver's version is found in both of NVIDIA's wordings") {
  CHECK(
      nvidia_driver_version("NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n"
                            "GCC version:  gcc version 12.2.0\n") == "550.54.15");
  CHECK(nvidia_driver_version("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.86.10  Release Build\n") ==
        "570.86.10");
  CHECK(nvidia_driver_version("GCC version: none\nkernel 6.1.2\n") == "");
  CHECK(nvidia_driver_version("") == "");
}

TEST_CASE("plugins of included files count") {
  const test::TemporaryDirectory slurm;
  const auto plugstack = slurm.write("plugstack.conf",
                                     "# required spank_commented.so\n"
                                     "required /usr/lib/slurm/spank_one.so a=b\n"
                                     "include plugstack.conf.d/*.conf\n");
  slurm.write("plugstack.conf.d/mlctr.conf", "\n  optional spank_mlctr.so\n");
  slurm.write("plugstack.conf.d/ignored", "required spank_ignored.so\n");
  CHECK(spank_plugins(plugstack) == std::vector<std::string>{"/usr/lib/slurm/spank_one.so", "spank_mlctr.so"});
  CHECK(spank_plugins(slurm / "missing").empty());
}

TEST_CASE("a file that includes itself ends") {
  const test::TemporaryDirectory slurm;
  const auto plugstack = slurm.write("plugstack.conf", "include plugstack.conf\nrequired one.so\n");
  CHECK_FALSE(spank_plugins(plugstack).empty());
}
