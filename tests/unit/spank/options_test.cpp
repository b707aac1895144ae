// The plugin in srun, sbatch and salloc: what a user types is taken or refused before the job waits in the queue.
#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <filesystem>

#include "plugin_process.hpp"
#include "temporary_directory.hpp"

using namespace mlctr::test;

namespace {

using Options = std::vector<std::pair<const char*, const char*>>;

struct Typed {
  int code;  ///< of the first callback that failed
  std::string said;
};

/// The callbacks in srun's order.
Typed type(const Options& options, spank_context_t context = S_CTX_LOCAL, std::vector<std::string> arguments = {}) {
  const PluginResult result = in_process([&](Plugin& plugin) {
    slurm.context = context;
    int code = plugin.call("init", arguments);
    for (const auto& [name, argument] : options) {
      if (code == 0) code = plugin.option(name, argument, 0);
    }
    if (code == 0) code = plugin.call("init_post_opt", arguments);
    say(std::to_string(code));
  });
  return {.code = std::atoi(result.written.c_str()), .said = result.said};
}

bool says(const Typed& typed, const std::string& text) {
  return typed.said.find(text) != std::string::npos;
}

}  // namespace

TEST_CASE("all of pyxis's options are there") {
  const PluginResult result = in_process([](Plugin& plugin) {
    plugin.call("init");
    for (const spank_option& option : slurm.registered) say(std::string(option.name) + (option.has_arg ? "= " : " "));
  });
  CHECK(result.written ==
        "container-image= container-name= container-mounts= container-workdir= container-save= container-mount-home "
        "no-container-mount-home container-remap-root no-container-remap-root container-entrypoint "
        "no-container-entrypoint container-entrypoint-log container-writable container-readonly container-env= "
        "container-unshare= container-scope= ");
}

TEST_CASE("good options say nothing") {
  const Typed typed = type({{"container-image", "nvcr.io#nvidia/pytorch:24.01-py3"},
                            {"container-name", "py-3.8_x:no_exec"},
                            {"container-mounts", "/a:/b:ro+rprivate,tmpfs:/t,./data,/has\\:colon:/c,umount:/sys"},
                            {"container-env", "A,B"},
                            {"container-unshare", "net,ipc"},
                            {"container-save", "out.sqsh"},
                            {"container-remap-root", nullptr},
                            {"container-image", "nvcr.io#nvidia/pytorch:24.01-py3"}});
  CHECK(typed.code == 0);
  CHECK(typed.said == "");
}

TEST_CASE("malformed arguments are refused with the option's name") {
  struct Case {
    const char* option;
    const char* argument;
    const char* message;
  };
  for (const Case& c : std::initializer_list<Case>{
           {"container-image", "", "--container-image: argument required"},
           {"container-image", "two words", "no spaces"},
           {"container-name", "", "argument required"},
           {"container-name", ":exec", "a name is 1 to 64"},
           {"container-name", "/tmp/foo", "a name is 1 to 64"},
           {"container-name", "..", "a letter or digit first"},
           {"container-name", "a23456789b123456789c123456789d123456789e123456789f123456789g123456789", "1 to 64"},
           {"container-name", "x:attach", "flag must be \"auto\", \"create\", \"exec\" or \"no_exec\", not \"attach\""},
           {"container-mounts", "", "argument required"},
           {"container-mounts", ":", "invalid format"},
           {"container-mounts", "/tmp:", "invalid format"},
           {"container-mounts", "/a:/b,", "invalid format"},
           {"container-mounts", "tmpfs", "tmpfs where?"},
           {"container-mounts", "/a:b", "must be an absolute path"},
           {"container-workdir", "", "argument required"},
           {"container-save", "/tmp/", "target is a directory"},
           {"container-env", "FOO,", "invalid format"},
           {"container-env", "FOO=1", "no variable's name"},
           {"container-unshare", "net,pid", "unknown namespace 'pid'"},
           {"container-scope", "user", "\"global\" or \"job\""}}) {
    CAPTURE(std::string(c.option));
    CAPTURE(std::string(c.argument));
    const Typed typed = type({{c.option, c.argument}});
    CHECK(typed.code == -1);
    CHECK(says(typed, std::string("error: mlctr: --") + c.option));
    CHECK(says(typed, c.message));
  }
}

TEST_CASE("contradictory and double options are refused") {
  for (const auto& [one, other] : Options{{"container-mount-home", "no-container-mount-home"},
                                          {"container-remap-root", "no-container-remap-root"},
                                          {"no-container-entrypoint", "container-entrypoint"},
                                          {"container-readonly", "container-writable"}}) {
    const Typed typed = type({{one, nullptr}, {other, nullptr}});
    CHECK(typed.code == -1);
    CHECK(says(typed, "both --" + std::string(one) + " and --" + other + " were given"));
  }
  CHECK(type({{"container-image", "a"}, {"container-image", "b"}}).code == -1);
  CHECK(type({{"container-mounts", "/a"}, {"container-mounts", "/b"}}).code == -1);
}

TEST_CASE("what srun is given goes before what the salloc around it was given") {
  // Slurm hands both over, that of the allocation first.
  ::setenv("SLURM_SPANK__SLURM_SPANK_OPTION_mlctr_container_image", "a", 1);
  CHECK(type({{"container-image", "a"}, {"container-image", "b"}}).code == 0);
  CHECK(type({{"container-image", "a"}, {"container-image", "b"}, {"container-image", "c"}}).code == -1);
  ::unsetenv("SLURM_SPANK__SLURM_SPANK_OPTION_mlctr_container_image");
}

TEST_CASE("options without a container are ignored, in pyxis's words") {
  const Typed typed = type({{"container-mounts", "/a:/b"}, {"container-readonly", nullptr}});
  CHECK(typed.code == 0);
  CHECK(says(typed, "ignoring --container-mounts because neither --container-image nor --container-name is set"));
  CHECK(says(typed, "ignoring --container-readonly"));
}

TEST_CASE("variables are checked as options are") {
  ::setenv("PYXIS_CONTAINER_NAME", "x:attach", 1);
  CHECK(says(type({}), "error: mlctr: PYXIS_CONTAINER_NAME: flag must be"));
  ::setenv("MLCTR_CONTAINER_NAME", "x", 1);
  CHECK(type({}).code == 0);
  ::setenv("PYXIS_CONTAINER_READONLY", "maybe", 1);
  CHECK(says(type({}), "\"maybe\" is neither yes nor no"));
  ::unsetenv("MLCTR_CONTAINER_NAME");
  ::unsetenv("PYXIS_CONTAINER_NAME");
  // A site's default for those who use containers is none of the others' business.
  CHECK(type({}).code == 0);
  CHECK(type({}).said == "");
  ::unsetenv("PYXIS_CONTAINER_READONLY");
}

TEST_CASE("an image without a slash that is a file here gets a hint") {
  const TemporaryDirectory directory;
  directory.write("cont.sqsh", "anything");
  directory.write("cont", "hsqs, a squashfs file");
  directory.write("python", "a script");
  const auto before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  CHECK(says(type({{"container-image", "cont.sqsh"}}), "hint: --container-image=./cont.sqsh"));
  CHECK(type({{"container-image", "cont"}}).code == -1);
  CHECK(type({{"container-image", "./cont"}}).code == 0);
  CHECK(type({{"container-image", "python"}}).code == 0);
  std::filesystem::current_path(before);
}

TEST_CASE("sbatch and salloc have the options, unless the site says no") {
  CHECK(type({{"container-image", "x"}}, S_CTX_ALLOCATOR).code == 0);
  CHECK(type({{"container-image", "x"}}, S_CTX_ALLOCATOR, {"sbatch_support=0"}).code == -1);
  CHECK(type({{"container-image", "x"}}, S_CTX_LOCAL, {"sbatch_support=0"}).code == 0);
}

TEST_CASE("slurmd names what it can't make sense of in plugstack.conf, and goes on") {
  const Typed typed = type({}, S_CTX_SLURMD, {"runtime_path=/run/pyxis", "scope=me"});
  CHECK(typed.code == 0);
  CHECK(says(typed, "info: mlctr: plugstack.conf: runtime_path=/run/pyxis has no meaning here"));
  CHECK(says(typed, "error: mlctr: scope is \"global\" or \"job\""));
}
