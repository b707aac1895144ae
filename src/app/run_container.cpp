#include "app/run_container.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <ctime>
#include <nlohmann/json.hpp>

#include "app/changed_files.hpp"
#include "app/container_program.hpp"
#include "app/runtime_directory.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "runtime/apply_mounts.hpp"
#include "runtime/container_server.hpp"
#include "runtime/join.hpp"
#include "squashfs/reader.hpp"

namespace mlctr {
namespace {

struct OpenImage {
  Fd file;
  std::unique_ptr<squashfs::Reader> reader;

  explicit OpenImage(const std::filesystem::path& path)
      : file(open_regular_file(path)), reader(std::make_unique<squashfs::Reader>(file.get(), path)) {}
};

// Everything about a run that is settled before the first namespace.
struct Plan {
  std::vector<OpenImage> images;  // the rootfs's, then those of squashfs mounts
  runtime::ContainerSpec spec;
  runtime::Program program;
};

ImageConfig config_of(const BaseImage& image) {
  return image.config_body.empty() ? ImageConfig{} : parse_image_config(image.config_body);
}

runtime::Program make_program(const RunRequest& request, const ImageConfig& config, const runtime::Host& host) {
  return {.command = container_command(request, config),
          .environment = container_environment(request, config, host).entries(),
          .directories = working_directories(request, config, host),
          .remap = request.remap};
}

std::vector<runtime::Mount> plan_mounts(const RunRequest& request, const runtime::Host& host) {
  std::vector<runtime::Mount> mounts = runtime::base_container(host, request.base);
  if (request.remap == runtime::Remap::root) {
    mounts.push_back({.source = runtime::FileMount{k_apt_config}, .target = k_apt_config_path});
  }
  mounts.insert(mounts.end(), request.mounts.begin(), request.mounts.end());
  return mounts;
}

Plan make_plan(const RunSubject& subject, const RunRequest& request, const RuntimeDirectory& directory) {
  Plan plan;
  plan.spec.identity = runtime::current_identity(request.remap);
  plan.spec.own_namespaces = request.base.own_namespaces & ~CLONE_NEWPID;
  plan.spec.access = request.access;
  plan.spec.host = runtime::look_at_host();
  plan.spec.scratch = directory.scratch;
  plan.spec.mounts = plan_mounts(request, plan.spec.host);
  if (subject.container) {
    plan.spec.upper = runtime::DirectoryUpper{subject.container->upper, subject.container->work};
  }
  plan.program = make_program(request, config_of(subject.image), plan.spec.host);
  plan.images.emplace_back(subject.image.squashfs);
  for (const auto& file : runtime::squashfs_files(plan.spec.mounts)) plan.images.emplace_back(file);
  return plan;
}

std::string describe(const RunSubject& subject, const Plan& plan) {
  return nlohmann::ordered_json{{"name", subject.container ? subject.container->record.name : ""},
                                {"image", subject.image.reference},
                                {"command", plan.program.command},
                                {"remapped", plan.spec.identity.uid == 0 && plan.spec.identity.outer_uid != 0},
                                {"started_at", std::time(nullptr)}}
      .dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

runtime::ContainerServer start_server(const Plan& plan, runtime::ContainerSocket socket, std::string description) {
  runtime::ServerSetup setup{.images = {},
                             .options = {.owner = {plan.spec.identity.uid, plan.spec.identity.gid}},
                             .socket = std::move(socket),
                             .description = std::move(description)};
  for (const OpenImage& image : plan.images) setup.images.push_back(image.reader.get());
  return runtime::ContainerServer::start(std::move(setup));
}

// A socket to listen on, or the answer of the container that does already.
std::variant<runtime::ContainerSocket, runtime::Message> claim(const RuntimeDirectory& directory,
                                                               const std::string& name) {
  for (;;) {
    if (auto answer = runtime::ask_container(directory.sockets, name, runtime::k_join); answer && !answer->fds.empty()) {
      return std::move(*answer);
    }
    // One at a time finds out that nobody listens and takes the place.
    const Fd lock = open_file(directory.lock, O_RDWR | O_CREAT, 0600);
    if (::flock(lock.get(), LOCK_EX) != 0) throw SysError("cannot lock " + directory.lock.string());
    try {
      return runtime::ContainerSocket(directory.sockets, name);
    } catch (const SysError& error) {
      if (error.errno_value() != EADDRINUSE) throw;  // somebody was faster: join them
    }
  }
}

[[noreturn]] void join_and_become(const runtime::Message& running, const RunSubject& subject, const RunRequest& request) {
  const runtime::Program program = make_program(request, config_of(subject.image), runtime::look_at_host());
  runtime::join_container(running, request.remap);
  runtime::become(program);
}

bool must_wait(const RunSubject& subject, const RunRequest& request) {
  return (request.base.own_namespaces & CLONE_NEWPID) != 0 || request.lifetime == Lifetime::remove ||
         (!subject.container && request.lost_changes == LostChanges::tell &&
          request.access == runtime::RootfsAccess::read_write);
}

// Exceptions of a forked process rise to main() like any other: it has nothing open that its parent would miss.
[[noreturn]] void build_and_become(const Plan& plan, const runtime::ContainerServer& server,
                                   const ChangedFiles* changed) {
  const Fd upper = runtime::build_container(plan.spec, server);
  if (changed != nullptr) changed->begin(upper);
  runtime::become(plan.program);
}

// Process 1 of a pid namespace: builds the container, whose /proc shows that namespace, and reaps what the program
// leaves behind.
[[noreturn]] void be_init(const Plan& plan, const runtime::ContainerServer& server, const ChangedFiles& changed) {
  const Fd upper = runtime::build_container(plan.spec, server);
  changed.begin(upper);
  const runtime::ProgramEnd end = runtime::supervise([&] { runtime::become(plan.program); });
  ::_exit(runtime::shell_exit_code(end));
}

runtime::ProgramEnd build_and_wait(const Plan& plan, const runtime::ContainerServer& server, const ChangedFiles& changed,
                                   int own_namespaces) {
  if ((own_namespaces & CLONE_NEWPID) != 0) {
    runtime::enter_new_namespaces(plan.spec.identity, CLONE_NEWPID);
    return runtime::supervise([&] { be_init(plan, server, changed); });
  }
  return runtime::supervise([&] {
    runtime::enter_new_namespaces(plan.spec.identity, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // who kills mlctr means the program
    build_and_become(plan, server, &changed);
  });
}

// Others may have joined and be at work in it still.
void remove_after_use(const ContainerStore& containers, const RuntimeDirectory& directory, const std::string& name) {
  const auto answer = runtime::ask_container(directory.sockets, socket_name(containers.root(), name), runtime::k_describe);
  if (answer && !nlohmann::json::parse(answer->text).at("pids").empty()) return;
  containers.remove(name);
}

}  // namespace

RunResult run_container(const Configuration& configuration, const RunSubject& subject, const RunRequest& request) {
  const RuntimeDirectory directory = open_runtime_directory();
  const ContainerStore containers = open_containers(configuration);
  auto place = claim(directory, subject.container ? socket_name(containers.root(), subject.container->record.name)
                                                  : fmt::format("{}.run", ::getpid()));
  if (const auto* running = std::get_if<runtime::Message>(&place)) join_and_become(*running, subject, request);

  const Plan plan = make_plan(subject, request, directory);
  const runtime::ContainerServer server =
      start_server(plan, std::move(std::get<runtime::ContainerSocket>(place)), describe(subject, plan));
  if (!must_wait(subject, request)) {
    runtime::enter_new_namespaces(plan.spec.identity, 0);
    build_and_become(plan, server, nullptr);
  }
  const ChangedFiles changed;
  const runtime::ProgramEnd end = build_and_wait(plan, server, changed, request.base.own_namespaces);
  if (subject.container && request.lifetime == Lifetime::remove) {
    remove_after_use(containers, directory, subject.container->record.name);
  }
  return {end, subject.container ? 0 : changed.count()};
}

runtime::Environment explain_environment(const RunSubject& subject, const RunRequest& request) {
  return container_environment(request, config_of(subject.image), runtime::look_at_host());
}

}  // namespace mlctr
