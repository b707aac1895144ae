#include "app/drop_in_files.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <fstream>

#include "app/container_drop_ins.hpp"
#include "temporary_directory.hpp"
#include "thrown.hpp"

using namespace mlctr;

namespace {

struct Directories {
  test::TemporaryDirectory root;
  Configuration configuration;

  Directories() {
    configuration.system_directory = root.path() / "etc";
    configuration.user_directory = root.path() / "home";
  }

  std::filesystem::path write(const std::string& path, const std::string& text, mode_t mode = 0644) {
    const auto file = root.path() / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << text;
    ::chmod(file.c_str(), mode);
    return file;
  }

  ContainerDropIns read(std::vector<std::string> environment = {}) const {
    runtime::Host host;
    host.environment = std::move(environment);
    host.current_directory = "/here";
    return read_container_drop_ins(configuration, host, "/rootfs");
  }

  std::string refused() const {
    return test::thrown_by([&] { read(); }).message;
  }
};

}  // namespace

TEST_CASE("no directories, no files") {
  const Directories directories;
  const ContainerDropIns found = directories.read();
  CHECK(found.environment.empty());
  CHECK(found.hooks.empty());
  CHECK(found.mounts.before_hooks.empty());
}

TEST_CASE("the admin's files come first, each by name, and one name may come twice") {
  Directories directories;
  for (const char* name : {"home/environ.d/05-a.env", "etc/environ.d/20-b.env", "etc/environ.d/10-a.env",
                           "home/environ.d/10-a.env", "etc/environ.d/.hidden.env", "etc/environ.d/note.txt"}) {
    directories.write(name, "LAST=" + std::string(name) + "\nTOLD=${TELL}\n");
  }
  const ContainerDropIns found = directories.read({"TELL=a\nEXTRA=b"});
  std::vector<std::string> origins;
  for (const auto& edit : found.environment) {
    if (edit.name == "LAST") origins.push_back(edit.origin.substr(directories.root.path().string().size() + 1));
    if (edit.name == "TOLD") CHECK(edit.value == "a\nEXTRA=b");
    CHECK(edit.name != "EXTRA");
  }
  CHECK(origins == std::vector<std::string>{"etc/environ.d/10-a.env", "etc/environ.d/20-b.env",
                                            "home/environ.d/05-a.env", "home/environ.d/10-a.env"});
}

TEST_CASE("a mount remembers its line") {
  Directories directories;
  directories.write("home/mounts.d/x.fstab", "# mine\n${ENROOT_ROOTFS}/a /b bind\nrel /c bind 0 -1\n");
  const ContainerDropIns found = directories.read();
  REQUIRE(found.mounts.after_hooks.size() == 1);
  CHECK(found.mounts.after_hooks[0].origin.ends_with("home/mounts.d/x.fstab:2"));
  CHECK(std::get<runtime::BindMount>(found.mounts.before_hooks.at(0).source).source == "/here/rel");
  directories.write("etc/mounts.d/bad.fstab", "\n/a /b bind,nonsense\n");
  CHECK(test::contains(directories.refused(), "etc/mounts.d/bad.fstab:2: no such mount option: nonsense"));
}

TEST_CASE("a squashfs file is a directory where its line leaves that open") {
  Directories directories;
  directories.write("data.sqsh", "hsqs and more");
  directories.write("other", "not one");
  const std::string there = directories.root.path().string();
  const auto source = [&](const std::string& line) {
    directories.write("home/mounts.d/x.fstab", there + "/" + line + "\n");
    return directories.read().mounts.after_hooks.at(0).source;
  };
  for (const char* line : {"data.sqsh /d", "data.sqsh /d squashfs", "data.sqsh /d squashfs ro,nofail",
                           "data.sqsh /d none bind,x-create=dir"}) {
    CHECK_MESSAGE(std::holds_alternative<runtime::SquashfsMount>(source(line)), line);
  }
  for (const char* line :
       {"data.sqsh /d bind", "data.sqsh /d none bind,x-create=file", "other /d", "missing /d squashfs nofail"}) {
    CHECK_MESSAGE(std::holds_alternative<runtime::BindMount>(source(line)), line);
  }
  directories.write("home/mounts.d/x.fstab", there + "/other /d squashfs\n");
  CHECK(test::contains(directories.refused(), "x.fstab:1: " + there + "/other is no squashfs file"));
}

TEST_CASE("only what can be executed is a hook") {
  Directories directories;
  const auto hook = directories.write("etc/hooks.d/10.sh", "#!/bin/sh\n", 0755);
  directories.write("etc/hooks.d/20.sh", "#!/bin/sh\n", 0644);
  std::filesystem::create_directories(directories.root.path() / "etc/hooks.d/30.sh");
  CHECK(directories.read().hooks == std::vector{hook});
}

TEST_CASE("files that everyone may write to are not trusted") {
  for (const auto& [path, mode] : {std::pair{"etc/hooks.d/10.sh", 0757}, std::pair{"etc/environ.d/a.env", 0646},
                                   std::pair{"home/mounts.d/a.fstab", 0606}}) {
    Directories directories;
    directories.write(path, "", static_cast<mode_t>(mode));
    CHECK_MESSAGE(test::contains(directories.refused(), "everyone may write to it"), path);
  }
  Directories directories;
  directories.write("etc/hooks.d/10.sh", "", 0755);
  ::chmod((directories.root.path() / "etc/hooks.d").c_str(), 0777);
  CHECK(test::contains(directories.refused(), "everyone may write to it"));
}

TEST_CASE("hooks that a group may write to are not trusted, nor where they are") {
  for (const char* path : {"etc", "etc/hooks.d", "etc/hooks.d/10.sh", "home", "home/hooks.d", "home/hooks.d/10.sh"}) {
    Directories directories;
    for (const char* hook : {"etc/hooks.d/10.sh", "home/hooks.d/10.sh"}) directories.write(hook, "", 0755);
    CHECK(directories.read().hooks.size() == 2);
    ::chmod((directories.root.path() / path).c_str(), 0775);
    const auto refused = test::thrown_by([&] { directories.read(); });
    CHECK_MESSAGE(test::contains(refused.message, std::string(path) + ": its group may write to it"), path);
    CHECK(test::contains(refused.hint, "chmod go-w "));
  }
}

TEST_CASE("a group may write to the user's own environment files, as umask 002 has it") {
  Directories directories;
  directories.write("home/environ.d/a.env", "A=1\n", 0664);
  ::chmod((directories.root.path() / "home/environ.d").c_str(), 0775);
  CHECK(directories.read().environment.size() == 1);
}

TEST_CASE("a link to no hook is left out and named") {
  Directories directories;
  const auto hook = directories.write("etc/hooks.d/10.sh", "#!/bin/sh\n", 0755);
  std::filesystem::create_symlink("/not/there", hook.parent_path() / "20.sh");
  std::filesystem::create_symlink("30.sh", hook.parent_path() / "30.sh");
  const ContainerDropIns found = directories.read();
  CHECK(found.hooks == std::vector{hook});
  REQUIRE(found.warnings.size() == 2);
  CHECK(test::contains(found.warnings[0], "hooks.d/20.sh is a link to no file"));
}

TEST_CASE("a FIFO in the place of a file is refused, and does not hang") {
  Directories directories;
  directories.write("etc/environ.d/a.env", "");
  REQUIRE(::mkfifo((directories.root.path() / "etc/environ.d/b.env").c_str(), 0600) == 0);
  CHECK(test::contains(directories.refused(), "is not a file"));
}

TEST_CASE("hooks get nothing of the image's, and of the host's what names user and job") {
  runtime::Host host;
  host.user_name = "ada";
  host.home = "/home/ada";
  host.environment = {"LD_PRELOAD=/x.so", "PATH=/evil", "SLURM_JOB_ID=7", "PMIX_RANK=0", "SECRET=1"};
  const std::vector<std::string> variables = hook_variables(host);
  const auto has = [&](const std::string& entry) { return std::ranges::find(variables, entry) != variables.end(); };
  CHECK(has("SLURM_JOB_ID=7"));
  CHECK(has("PMIX_RANK=0"));
  CHECK(has("USER=ada"));
  CHECK_FALSE(has("LD_PRELOAD=/x.so"));
  CHECK_FALSE(has("PATH=/evil"));
  CHECK_FALSE(has("SECRET=1"));
}
