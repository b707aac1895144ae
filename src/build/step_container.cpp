#include "build/step_container.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/soft_limits.hpp"
#include "runtime/base_container.hpp"
#include "runtime/container_server.hpp"
#include "runtime/process_table.hpp"
#include "squashfs/reader.hpp"

namespace mlctr::build {
namespace {

struct Image {
  Fd file;
  std::unique_ptr<squashfs::Reader> reader;

  explicit Image(const std::filesystem::path& path)
      : file(open_file(path, O_RDONLY)), reader(std::make_unique<squashfs::Reader>(file.get(), path)) {}
};

std::vector<Image> open_images(const StepContainer& container) {
  std::vector<Image> images;
  for (const auto& path : container.stack) images.emplace_back(path);
  for (const auto& source : container.sources) {
    for (const auto& path : source) images.emplace_back(path);
  }
  return images;
}

[[noreturn]] void refuse_fallback() {
  throw Error("a build needs FUSE and overlayfs", "`mlctr doctor` says what is missing");
}

runtime::ContainerSpec make_spec(const StepContainer& container, const std::filesystem::path& scratch) {
  runtime::ContainerSpec spec;
  spec.identity = runtime::current_identity(runtime::Remap::root);
  spec.own_namespaces = container.own_namespaces & ~CLONE_NEWPID;
  spec.upper = runtime::DirectoryUpper{container.upper, container.work};
  spec.mounts = container.mounts;
  spec.scratch = scratch;
  spec.choice = runtime::RootfsChoice::overlay;
  spec.fallback = {.unpack = [](std::size_t) -> runtime::UnpackedImage { refuse_fallback(); },
                   .copy = []() -> runtime::UnpackedImage { refuse_fallback(); },
                   .before_fuse_overlayfs = [] {},
                   .tell = [](const std::string&) {}};
  // What a step writes to /etc/passwd is the image's.
  spec.user_entries = runtime::UserEntries::leave;
  spec.layers = container.stack.size() - 1;
  for (const auto& source : container.sources) spec.stacks.push_back(source.size());
  return spec;
}

void report(const Fd& pipe, const Error& error) noexcept {
  try {
    const std::string text = nlohmann::json{{"message", error.message()}, {"hint", error.hint()}}.dump(
        -1, ' ', false, nlohmann::json::error_handler_t::replace);
    write_all(pipe.get(), std::as_bytes(std::span(text)), "a pipe");
  } catch (const std::exception&) {
    // The exit status tells that something was wrong.
  }
}

// Calls `work`, whose error goes to the pipe: what a forked process of ours does.
template <class Work>
[[noreturn]] void be_child(const Fd& pipe, Work work) {
  try {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    work();
    ::_exit(0);
  } catch (const Error& error) {
    report(pipe, error);
  } catch (const std::exception& error) {
    report(pipe, Error(error.what()));
  }
  ::_exit(125);
}

runtime::ProgramEnd end_of(int status) {
  if (WIFSIGNALED(status)) return runtime::Killed{WTERMSIG(status)};
  return runtime::Exited{WEXITSTATUS(status)};
}

pid_t start(const std::function<void()>& child) {
  const pid_t pid = ::fork();
  if (pid < 0) throw fork_error("cannot start a step", errno);
  if (pid == 0) child();
  return pid;
}

// Ends as the process it waits for did.
[[noreturn]] void pass_on(pid_t child) {
  const int status = runtime::reap(child);
  if (WIFSIGNALED(status)) {
    ::signal(WTERMSIG(status), SIG_DFL);
    ::kill(::getpid(), WTERMSIG(status));
  }
  ::_exit(WIFEXITED(status) ? WEXITSTATUS(status) : 125);
}

}  // namespace

runtime::ProgramEnd run_in_step_container(const StepContainer& container, const std::filesystem::path& scratch,
                                          const std::function<void(runtime::BuiltContainer&)>& inside,
                                          const std::function<void()>& meanwhile) {
  const std::vector<Image> images = open_images(container);
  runtime::ServerSetup setup;
  setup.options.owner = {0, 0};
  setup.first_layer = 1;
  setup.end_of_layers = images.size();
  setup.description = "{}";
  setup.not_inherited = container.not_for_server;
  for (const Image& image : images) setup.images.push_back({image.reader.get(), image.file.get()});
  const runtime::ContainerSpec spec = make_spec(container, scratch);
  const runtime::ContainerServer server = runtime::ContainerServer::start(std::move(setup));
  auto [failure, failed] = make_pipe();

  const auto in_container = [&] {
    runtime::BuiltContainer built = runtime::build_container(spec, server);
    server.open_door();
    inside(built);
  };
  const pid_t child = start([&] {
    be_child(failed, [&] {
      runtime::enter_new_namespaces(spec.identity, container.own_namespaces & CLONE_NEWPID);
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // lost with the old credentials (prctl(2))
      if ((container.own_namespaces & CLONE_NEWPID) == 0) return in_container();
      // The first process of the pid namespace becomes the program itself: nothing of ours is to be seen in there.
      pass_on(start([&] { be_child(failed, in_container); }));
    });
  });
  failed.reset();
  meanwhile();
  const std::string words = read_until_end(failure.get());
  const int status = runtime::reap(child);
  if (!words.empty()) {
    const auto error = nlohmann::json::parse(words);
    throw Error(error.at("message"), error.at("hint"));
  }
  return end_of(status);
}

std::vector<runtime::Mount> step_mounts(int own_namespaces) {
  std::vector<runtime::Mount> mounts =
      runtime::base_container({}, {.own_namespaces = own_namespaces, .home = runtime::HomeMount::no});
  std::erase_if(mounts, [](const runtime::Mount& mount) {
    const std::string& target = mount.target;
    const bool is_kept = target.starts_with("/proc") || target.starts_with("/sys") || target.starts_with("/dev") ||
                         target == "/etc/hosts" || target == "/etc/resolv.conf";
    return !is_kept;
  });
  return mounts;
}

std::set<std::string> stubs_of(const std::vector<std::string>& targets) {
  std::set<std::string> stubs;
  for (const std::string& target : targets) {
    for (std::string path = target; path.size() > 1; path = path.substr(0, path.find_last_of('/'))) stubs.insert(path);
  }
  return stubs;
}

}  // namespace mlctr::build
