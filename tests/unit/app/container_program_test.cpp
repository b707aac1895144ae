#include "app/container_program.hpp"

#include <doctest/doctest.h>

using namespace mlctr;
using Words = std::vector<std::string>;

namespace {

ImageConfig image_with(Words entrypoint, Words command) {
  ImageConfig config;
  config.entrypoint = std::move(entrypoint);
  config.command = std::move(command);
  return config;
}

runtime::Host host_with(Words environment = {}) {
  runtime::Host host;
  host.home = "/home/ada";
  host.current_directory = "/data/here";
  host.zone = "Europe/Berlin";
  host.environment = std::move(environment);
  return host;
}

}  // namespace

TEST_CASE("commands are docker's table of ENTRYPOINT and CMD") {
  const ImageConfig both = image_with({"python", "-u"}, {"main.py"});
  CHECK(container_command({}, both) == Words{"python", "-u", "main.py"});
  CHECK(container_command({.command = {"x", "y"}}, both) == Words{"python", "-u", "x", "y"});
  CHECK(container_command({.command = {"x"}, .entrypoint = Entrypoint::none}, both) == Words{"x"});
  CHECK(container_command({.entrypoint = Entrypoint::none}, both) == Words{"main.py"});
  CHECK(container_command({.own_entrypoint = "sh"}, both) == Words{"sh"});
  CHECK(container_command({.command = {"-c", "x"}, .own_entrypoint = "sh"}, both) == Words{"sh", "-c", "x"});
  CHECK(container_command({}, image_with({}, {"cmd"})) == Words{"cmd"});
  CHECK(container_command({}, image_with({}, {})) == Words{"/bin/sh"});
}

TEST_CASE("the environment's layers: image, host, mlctr, the user's") {
  ImageConfig config;
  config.environment = {"PATH=/opt/bin:/bin", "A=image", "SHARED=image", "no variable"};
  const auto environment = container_environment({.environment = {"A=user", "HOME=/elsewhere"}}, config,
                                                 host_with({"SHARED=host", "JOB=17", "PATH=/host", "LD_PRELOAD=x.so"}));
  CHECK(environment.value("PATH") == "/opt/bin:/bin");
  CHECK(environment.value("A") == "user");
  CHECK(environment.value("SHARED") == "image");
  CHECK(environment.value("JOB") == "17");
  CHECK(environment.value("HOME") == "/elsewhere");
  CHECK(environment.value("container") == "mlctr");
  CHECK(environment.value("TZ") == "Europe/Berlin");
  CHECK_FALSE(environment.has("LD_PRELOAD"));
  CHECK(environment.variables().at("JOB").origin == "host");
  CHECK(environment.variables().at("A").origin == "--env");
}

TEST_CASE("home and user depend on who the program is") {
  const ImageConfig none;
  CHECK(container_environment({}, none, host_with({"USER=ada"})).value("HOME") == "/home/ada");
  CHECK(container_environment({}, none, host_with()).value("PYTHONNOUSERSITE") == "1");
  const auto root = container_environment({.remap = runtime::Remap::root}, none, host_with({"USER=ada"}));
  CHECK(root.value("HOME") == "/root");
  CHECK(root.value("USER") == "root");
  CHECK(root.value("APT_CONFIG") == k_apt_config_path);
  RunRequest no_home;
  no_home.base.home = runtime::HomeMount::no;
  CHECK(container_environment(no_home, none, host_with()).value("HOME") == "/");
  CHECK_FALSE(container_environment(no_home, none, host_with()).has("PYTHONNOUSERSITE"));
}

TEST_CASE("root finds the system's programs, but where the user says otherwise") {
  const auto path = [](const char* of_image, RunRequest request) {
    ImageConfig config;
    config.environment = {std::string("PATH=") + of_image};
    return std::string(container_environment(request, config, host_with()).value("PATH"));
  };
  const RunRequest root{.remap = runtime::Remap::root};
  CHECK(path("/opt/bin:/usr/bin:/bin", root) == "/opt/bin:/usr/bin:/bin:/usr/sbin:/sbin");
  CHECK(path("/usr/sbin:/usr/bin", root) == "/usr/sbin:/usr/bin:/sbin");
  CHECK(path("/sbin:/usr/sbin", root) == "/sbin:/usr/sbin");
  CHECK(path("/my/sbin:/bin", root) == "/my/sbin:/bin:/usr/sbin:/sbin");
  CHECK(path("/usr/bin", {}) == "/usr/bin");
  CHECK(path("/usr/bin", {.remap = runtime::Remap::root, .environment = {"PATH=/mine"}}) == "/mine");
  CHECK(path("", root).empty());
}

TEST_CASE("programs can tell which container they are in") {
  const ImageConfig none;
  const RunRequest named{.container_name = "py", .prompt_name = "py"};
  CHECK(container_environment(named, none, host_with()).value("MLCTR_CONTAINER") == "py");
  CHECK(container_environment(named, none, host_with()).value("debian_chroot") == "py");
  CHECK(container_environment(named, none, host_with({"debian_chroot=mine"})).value("debian_chroot") == "mine");
  CHECK_FALSE(container_environment({}, none, host_with()).has("MLCTR_CONTAINER"));
  CHECK_FALSE(container_environment({}, none, host_with()).has("debian_chroot"));
  CHECK(prompt_name_of("py", "python:3.8") == "py");
  CHECK(prompt_name_of("", "nvcr.io/nvidia/pytorch:24.01-py3") == "pytorch:24.01-py3");
  CHECK(prompt_name_of("", "python:3.8") == "python:3.8");
}

TEST_CASE("where programs start") {
  ImageConfig config;
  config.working_directory = "/work";
  CHECK(working_directories({.working_directory = "/asked"}, config, host_with()) == Words{"/asked"});
  CHECK(working_directories({}, config, host_with()) == Words{"/work", "/data/here", "/"});
  config.working_directory = "/";
  CHECK(working_directories({}, config, host_with()) == Words{"/data/here", "/"});
}
