// The plugin in slurmstepd: whether and how a task gets into its container.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <slurm/slurm.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "plugin_process.hpp"
#include "temporary_directory.hpp"

using namespace mlctr::test;

namespace {

const std::vector<std::string> k_fake{"mlctr=" FAKE_MLCTR};

std::string text_of(const std::filesystem::path& file) {
  std::ostringstream text;
  text << std::ifstream(file).rdbuf();
  return text.str();
}

std::string mount_namespace() {
  return std::filesystem::read_symlink("/proc/self/ns/mnt").string();
}

/// A step with these options, up to the place where Slurm would exec the program; `then` is there.
PluginResult run_task(const std::string& fake, const std::function<void(Plugin&, int)>& then,
                      std::vector<std::string> arguments = k_fake) {
  return in_process([&](Plugin& plugin) {
    slurm.environment = {"FAKE=" + fake, "SLURM_PROCID=3", "GONE=1"};
    plugin.call("init", arguments);
    plugin.option("container-image", "busybox", 1);
    plugin.call("init_post_opt", arguments);
    then(plugin, plugin.call("task_init", arguments));
  });
}

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

/// Whatever would be more than looking: processes, files, namespaces.
void forbid_acts() {
  scmp_filter_ctx filter = ::seccomp_init(SCMP_ACT_ALLOW);
  for (const int call :
       {SYS_fork, SYS_vfork, SYS_clone, SYS_clone3, SYS_open, SYS_openat, SYS_pipe, SYS_pipe2, SYS_socket,
        SYS_socketpair, SYS_setns, SYS_unshare, SYS_prctl, SYS_readlink, SYS_stat, SYS_newfstatat}) {
    ::seccomp_rule_add(filter, SCMP_ACT_KILL_PROCESS, call, 0);
  }
  ::seccomp_load(filter);
}

}  // namespace

TEST_CASE("a task without container options is left alone") {
  const PluginResult result = in_process([](Plugin& plugin) {
    slurm.environment = {"HOME=/root", "MLCTR_CONTAINER_IMAGE=", "PYXIS_CONTAINER_REMAP_ROOT=1",
                         "MLCTR_CONTAINER_NAMES=x"};
    plugin.call("init", k_fake);
    plugin.option("container-remap-root", nullptr, 1);
    forbid_acts();
    int codes = 0;
    for (const char* callback :
         {"init_post_opt", "user_init", "task_init_privileged", "task_init", "task_post_fork", "task_exit", "exit"}) {
      codes |= plugin.call(callback, k_fake);
    }
    say(codes == 0 && slurm.environment.size() == 4 ? "untouched" : "changed");
  });
  CHECK(result.written == "untouched");
  CHECK(result.said == "");
  CHECK(result.status == 0);
}

TEST_CASE("the task is in the container when task_init returns") {
  const std::string host = mount_namespace();
  const PluginResult result = run_task("", [&](Plugin&, int code) {
    say("code " + std::to_string(code) + "\n");
    say(mount_namespace() == host ? "on the host\n" : "inside\n");
    say(std::filesystem::current_path().string() + "\n");
    say("uid " + std::to_string(::geteuid()) + "\n");
    say("no_new_privs " + std::to_string(::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0)) + "\n");
    std::vector<std::string> environment = slurm.environment;
    std::ranges::sort(environment);
    for (const std::string& variable : environment) say(variable + "\n");
    say(::waitpid(-1, nullptr, WNOHANG) < 0 ? "no child is left\n" : "a child is left\n");
  });
  CHECK(result.said == "");
  CHECK(result.written ==
        "code 0\ninside\n/mnt/inside\nuid 0\nno_new_privs 1\nFAKE=\nFROM_IMAGE=a value = with %s\nin it\n"
        "SLURM_PROCID=3\nno child is left\n");
}

TEST_CASE("a variable asks for a container as well") {
  for (const char* variable : {"MLCTR_CONTAINER_IMAGE=x", "PYXIS_CONTAINER_NAME=y"}) {
    const std::string host = mount_namespace();
    const PluginResult result = in_process([&](Plugin& plugin) {
      slurm.environment = {variable};
      plugin.call("init", k_fake);
      plugin.call("init_post_opt", k_fake);
      if (plugin.call("task_init", k_fake) == 0 && mount_namespace() != host) say("inside");
    });
    CHECK(result.written == "inside");
  }
}

TEST_CASE("what mlctr srun has wrapped goes in by itself") {
  const auto enters = [](const std::vector<std::string>& words) {
    const std::string host = mount_namespace();
    const PluginResult result = in_process([&](Plugin& plugin) {
      slurm.environment = {"MLCTR_CONTAINER_IMAGE=x"};
      slurm.words = words;
      plugin.call("init", k_fake);
      plugin.call("task_init", k_fake);
      say(mount_namespace() == host ? "left alone" : "inside");
    });
    return result.written;
  };
  CHECK(enters({"/usr/bin/mlctr", "step", "run", "--", "true"}) == "left alone");
  CHECK(enters({"/usr/bin/mlctr", "step", "enter"}) == "inside");
  CHECK(enters({"/bin/sh", "step", "run"}) == "inside");
  CHECK(enters({"/usr/bin/mlctr"}) == "inside");
}

TEST_CASE("mlctr gets the options, what plugstack.conf says, and no descriptor but its own") {
  const TemporaryDirectory directory;
  const PluginResult result = in_process([&](Plugin& plugin) {
    slurm.environment = {"FAKE=", "FAKE_LOG=" + (directory / "log").string()};
    const std::vector<std::string> arguments{k_fake[0], "container_scope=job", "execute_entrypoint=1"};
    plugin.call("init", arguments);
    plugin.option("container-name", "py38:create", 1);
    plugin.option("container-mounts", "/a:/b c", 1);
    plugin.option("container-remap-root", nullptr, 1);
    plugin.option("no-container-remap-root", nullptr, 1);  // of a salloc around it
    plugin.option("container-name", "other", 1);
    const int leaked = ::open("/dev/null", O_RDONLY);
    std::filesystem::current_path("/usr");
    plugin.call("task_init", arguments);
    if (::fcntl(leaked, F_GETFD) == 0) say("mine is open");
  });
  CHECK(result.written == "mine is open");
  CHECK(text_of(directory / "log") ==
        "mlctr\nstep\nenter\n--container-name=py38:create\n--container-mounts=/a:/b c\n--container-remap-root\n"
        "--container-scope=job\n--container-entrypoint\n--socket\n3\n--\n/bin/true\nin /usr\ndescriptor 0\ndescriptor 1\n"
        "descriptor 2\ndescriptor 3\n");
}

TEST_CASE("a task whose ended children are thrown away gets in as well") {
  const PluginResult result = in_process([](Plugin& plugin) {
    ::signal(SIGCHLD, SIG_IGN);
    plugin.call("init", k_fake);
    plugin.option("container-image", "busybox", 1);
    if (plugin.call("task_init", k_fake) == 0 && ::signal(SIGCHLD, SIG_DFL) == SIG_IGN) say("inside, as before");
  });
  CHECK(result.written == "inside, as before");
}

TEST_CASE("a filter and another identity are put on top") {
  const PluginResult filtered = run_task("filter", [](Plugin&, int code) {
    const long result = ::syscall(SYS_acct, nullptr);
    const int cause = errno;
    say(std::to_string(code) + " " + std::to_string(result) + " " + std::to_string(cause));
  });
  CHECK(filtered.written == "0 -1 77");
  const PluginResult other = run_task("identity", [](Plugin&, int code) {
    say(std::to_string(code) + " " + std::to_string(::getuid()) + ":" + std::to_string(::getegid()));
  });
  CHECK(other.said == "");
  CHECK(other.written == "0 1234:2345");
}

TEST_CASE("a warning is shown without what a terminal would obey") {
  CHECK(run_task("warning", [](Plugin&, int) {}).said == "log: mlctr: ignoring?[31m a mount\n");
}

TEST_CASE("the batch script is run by a descriptor, as it isn't in the container") {
  const TemporaryDirectory directory;
  const auto script = directory.write("slurm_script", "#!/bin/sh\n");
  const PluginResult result = in_process([&](Plugin& plugin) {
    slurm.step = SLURM_BATCH_SCRIPT;
    slurm.words = {script.string(), "argument"};
    plugin.call("init", k_fake);
    plugin.option("container-image", "busybox", 1);
    plugin.call("task_init", k_fake);
    say(text_of(slurm.word_pointers[0]) + slurm.word_pointers[1]);
  });
  CHECK(result.written == "#!/bin/sh\nargument");
}

TEST_CASE("a task that can't get into its container ends, with one line") {
  struct Case {
    const char* fake;
    const char* message;
  };
  const auto never = [](Plugin&, int) { say("it went on"); };
  for (const Case& c : std::initializer_list<Case>{
           {"fails", "no such image\n"},
           {"fails after all", ""},
           {"killed", "was ended by signal 9 (Killed) while it prepared the container"},
           {"cancelled", ""},
           {"silent", "there is no message"},
           {"other version", "of different versions: reinstall both"},
           {"unknown flag", "of different versions: reinstall both"},
           {"odd number", "malformed"},
           {"huge number", "malformed"},
           {"number too many", "malformed"},
           {"text without end", "too long"},
           {"missing descriptor", "descriptors are missing"},
           {"many descriptors", "too long"},
           {"nothing to enter", "number of namespaces"},
           {"no namespace", "is no namespace"},
           {"no mount namespace", "leads to the host's own files"},
           {"host's files", "leads to the host's own files"},
           {"not sealed", "not sealed"},
           {"big records", "too big"},
           {"cut head", "cut off"},
           {"cut record", "cut off"},
           {"endless record", "cut off"},
           {"variable without a name", "variable is malformed"},
           {"NUL in a variable", "NUL"},
           {"relative directory", "directory is malformed"},
           {"odd filter", "filter is malformed"},
           {"two filters", "twice"},
           {"odd identity", "identity is malformed"},
           {"another user", "the task would be 0:0 in the container, not 5:0"},
           {"no such directory", "cannot go to /mnt/missing in the container: No such file or directory"}}) {
    CAPTURE(std::string(c.fake));
    const PluginResult result = run_task(c.fake, never);
    CHECK(WEXITSTATUS(result.status) == 1);
    CHECK(result.written == "");
    CHECK(has(result.said, c.message));
    CHECK(std::ranges::count(result.said, '\n') == (*c.message == '\0' ? 0 : 1));
  }
}

TEST_CASE("where mlctr can't be run, the node's first task says so") {
  const auto never = [](Plugin&, int) { say("it went on"); };
  const PluginResult missing = run_task("", never, {"mlctr=/nonexistent/mlctr"});
  CHECK(missing.said == "error: mlctr: cannot run /nonexistent/mlctr: No such file or directory\n");
  CHECK(missing.written == "");
  CHECK(WEXITSTATUS(missing.status) == 1);
  const PluginResult broken = run_task("", never, {"mlctr=/dev/null"});
  CHECK(broken.said == "error: mlctr: cannot run /dev/null: Permission denied\n");
  slurm.task = 1;
  const PluginResult second = run_task("", never, {"mlctr=/nonexistent/mlctr"});
  slurm.task = 0;
  CHECK(second.said == "");
  CHECK(WEXITSTATUS(second.status) == 1);
}

TEST_CASE("an option that the step can't take, or a malformed plugstack.conf, ends the task") {
  const PluginResult refused = in_process([](Plugin& plugin) {
    plugin.call("init", k_fake);
    if (plugin.option("container-image", "", 1) == 0) say("taken");
    plugin.call("task_init", k_fake);  // Slurm goes on
    say("it went on");
  });
  CHECK(refused.written == "");
  CHECK(WEXITSTATUS(refused.status) == 1);
  const PluginResult settings = run_task("", [](Plugin&, int) { say("it went on"); }, {"mlctr=bin/mlctr"});
  CHECK(settings.written == "");
  CHECK(has(settings.said, "must be an absolute path"));
}

TEST_CASE("--container-save is done when the task has ended, and its failure is the task's") {
  const TemporaryDirectory directory;
  /// How the process that Slurm started ends, where its program ends with `code`.
  const auto save = [&](const std::string& fake, int code, const std::vector<std::string>& arguments = k_fake) {
    std::filesystem::remove(directory / "log");
    return in_process([&](Plugin& plugin) {
      slurm.environment = {"FAKE=" + fake, "FAKE_LOG=" + (directory / "log").string(), "PYXIS_CONTAINER_SAVE=out.sqsh"};
      plugin.call("init", arguments);
      plugin.option("container-image", "busybox", 1);
      plugin.call("task_init", arguments);
      ::_exit(code);
    });
  };
  CHECK(WEXITSTATUS(save("", 0).status) == 0);
  CHECK(has(text_of(directory / "log"), "mlctr\nstep\nsave\n--container-image=busybox\n"));
  CHECK(WEXITSTATUS(save("", 7).status) == 7);
  CHECK(has(text_of(directory / "log"), "mlctr\nstep\nsave\n"));
  CHECK(WEXITSTATUS(save("cannot save", 0).status) == 3);
  CHECK(WEXITSTATUS(save("cannot save", 7).status) == 7);
  // It never got in.
  CHECK(WEXITSTATUS(save("fails", 0).status) == 1);
  CHECK(!has(text_of(directory / "log"), "save\n"));
  CHECK(WEXITSTATUS(save("", 0, {"mlctr=/nonexistent"}).status) == 1);
}
