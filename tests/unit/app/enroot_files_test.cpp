#include "app/enroot_files.hpp"

#include <doctest/doctest.h>

#include <fstream>

#include "base/process.hpp"
#include "runtime/environment_file.hpp"
#include "temporary_directory.hpp"
#include "thrown.hpp"

using namespace mlctr;

namespace {

const std::vector<std::string> k_hard{"plain",  "",           "two words", "it's", "\"$HOME\" `id` $(id) ${X}",
                                      "a\nb\n", "\t\x01\x7f", "\\",        "*",    "~",
                                      "#x",     "\xff\xfe",   "a=b",       "!",    "''",
                                      "$'x'"};

// What a real shell makes of the script, each argument that reaches the program ended by a NUL.
std::string run_script(const test::TemporaryDirectory& directory, const std::string& script,
                       const std::vector<std::string>& arguments) {
  const auto file = directory.path() / "rc";
  std::ofstream(file) << script;
  std::vector<std::string> command{"/bin/sh", file.string()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  const ProcessResult result = run_process({.arguments = command, .standard_input = ""});
  CHECK(result.exit_code == 0);
  CHECK(result.standard_error == "");
  return result.standard_output;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += word + '\0';
  return text;
}

}  // namespace

TEST_CASE("a shell gets ENTRYPOINT, CMD and the command as they were") {
  const test::TemporaryDirectory directory;
  ImageConfig config;
  config.working_directory = directory.path() / "it's $HOME\n\"x\"";
  config.entrypoint = {"/usr/bin/printf", "%s\\0"};
  config.command = k_hard;
  config.labels = {{"a\nexit 3", "b\nexit 4"}};
  const EnrootFiles files = write_enroot_files(config, "docker://x#y:z\nexit 5");
  CHECK(run_script(directory, files.rc, {}) == joined(k_hard));
  CHECK(run_script(directory, files.rc, {"one", "two words", "it's"}) == joined({"one", "two words", "it's"}));
  CHECK(files.rc.starts_with("# enroot-provenance: docker://x#y:z exit 5\n"));
}

TEST_CASE("the script enters the working directory, and makes it") {
  const test::TemporaryDirectory directory;
  ImageConfig config;
  config.working_directory = directory.path() / "made/here";
  config.command = {"pwd"};
  CHECK(run_script(directory, write_enroot_files(config, "").rc, {}) == config.working_directory + "\n");
}

TEST_CASE("without ENTRYPOINT and CMD there is a shell") {
  const test::TemporaryDirectory directory;
  CHECK(test::contains(write_enroot_files({}, "").rc, "\nexec /bin/sh\n"));
  ImageConfig config;
  config.entrypoint = {"echo"};
  CHECK(run_script(directory, write_enroot_files(config, "").rc, {}) == "\n");
}

TEST_CASE("every value comes back, through the environment file read twice or the script") {
  const test::TemporaryDirectory directory;
  ImageConfig config;
  config.command = {"/usr/bin/env", "-0"};
  for (std::size_t i = 0; i < k_hard.size(); ++i)
    config.environment.push_back("V" + std::to_string(i) + "=" + k_hard[i]);
  config.environment.insert(config.environment.end(),
                            {"Q='quoted'", "R=\"\"", "TWICE=${A}", "TWICE=2", "a.b=1", "ENROOT_X=1"});
  const EnrootFiles files = write_enroot_files(config, "");
  CHECK(files.left_out == std::vector<std::string>{"the variable a.b"});

  // As enroot: references first, then the format, before hooks and once more after them.
  std::string text = runtime::expand_variables(files.environment, [](auto) { return std::string("WRONG"); });
  for (int round = 0; round < 2; ++round) {
    std::string formatted;
    for (const std::string& entry : runtime::parse_environment_file(text)) formatted += entry + "\n";
    text = formatted;
  }
  std::vector<std::string> command{"/usr/bin/env", "-i"};
  for (const std::string& entry : runtime::parse_environment_file(text)) command.push_back(entry);
  std::ofstream(directory.path() / "rc") << files.rc;
  command.insert(command.end(), {"/bin/sh", directory.path() / "rc"});
  const std::string found =
      std::string(1, '\0') + run_process({.arguments = command, .standard_input = ""}).standard_output;
  for (std::size_t i = 0; i < k_hard.size(); ++i) {
    const std::string wanted = std::string(1, '\0') + "V" + std::to_string(i) + "=" + k_hard[i] + '\0';
    CHECK_MESSAGE(test::contains(found, wanted), k_hard[i]);
  }
  for (const char* entry : {"Q='quoted'", "R=\"\"", "TWICE=2", "ENROOT_X=1"}) {
    CHECK_MESSAGE(test::contains(found, std::string(1, '\0') + entry + '\0'), entry);
  }
}

TEST_CASE("who starts the container is heard over the script") {
  const test::TemporaryDirectory directory;
  ImageConfig config;
  config.environment = {"PATH=/usr/bin:/bin", "LINES_OF=a\nb"};
  config.command = {"printenv", "LINES_OF"};
  std::ofstream(directory.path() / "rc") << write_enroot_files(config, "").rc;
  const auto run = [&](const std::string& set) {
    return run_process({.arguments = {"/usr/bin/env", set, "/bin/sh", directory.path() / "rc"}, .standard_input = ""})
        .standard_output;
  };
  CHECK(run("LINES_OF=mine") == "mine\n");
  CHECK(run("OTHER=1") == "a\nb\n");
}

TEST_CASE("volumes are lines of fstab, or are left out") {
  ImageConfig config;
  config.volumes = {"/", "/a b", "/data/../x", "${X}/y", "rel"};
  const EnrootFiles files = write_enroot_files(config, "");
  CHECK(files.fstab ==
        "${ENROOT_ROOTFS}/a\\040b /a\\040b none x-create=dir,bind,rw,nosuid,nodev\n"
        "${ENROOT_ROOTFS}/x /x none x-create=dir,bind,rw,nosuid,nodev\n"
        "${ENROOT_ROOTFS}/rel /rel none x-create=dir,bind,rw,nosuid,nodev\n");
  CHECK(files.left_out == std::vector<std::string>{"the volume /", "the volume ${X}/y"});
}
