#include "app/run_container.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <ctime>

#include "app/changed_files.hpp"
#include "app/container_drop_ins.hpp"
#include "app/container_program.hpp"
#include "app/enroot_image.hpp"
#include "app/exec_container.hpp"
#include "app/named_container.hpp"
#include "app/open_image.hpp"
#include "app/overlay_marks.hpp"
#include "app/remove_container.hpp"
#include "app/rootfs_fallback.hpp"
#include "app/running_container.hpp"
#include "app/runtime_directory.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "runtime/apply_mounts.hpp"
#include "runtime/binary_format.hpp"
#include "runtime/container_server.hpp"

namespace mlctr {
namespace {

// Stands for the rootfs where none is made.
constexpr const char* k_no_rootfs = "/run/mlctr/rootfs";
constexpr std::size_t k_lost_examples = 3;  // what fits a line

// Everything about a run that is settled before the first namespace.
struct Plan {
  std::vector<OpenImage> images;  // the rootfs's, then those of squashfs mounts
  runtime::ContainerSpec spec;
  std::vector<runtime::EnvironmentEdit> configured;  // what environ.d makes of the environment
  std::vector<std::string> own_environment;          // the user's: --env
  runtime::Program program;                          // its environment comes when hooks have run
  std::function<void(const runtime::Environment&)> instead;
};

ImageConfig config_of(const BaseImage& image, const runtime::Host& host) {
  if (image.config_body.empty()) return {};
  try {
    return with_host_variables(parse_image_config(image.config_body), host);
  } catch (Error& error) {
    error.add_context(fmt::format("cannot run {}", printable(image.reference, 4096)));
    throw;
  }
}

runtime::Program make_program(const RunRequest& request, const ImageConfig& config, const runtime::Host& host) {
  return {.command = container_command(request, config),
          .environment = {},
          .directories = working_directories(request, config, host),
          .remap = request.remap};
}

void append(std::vector<runtime::Mount>& mounts, const std::vector<runtime::Mount>& more) {
  mounts.insert(mounts.end(), more.begin(), more.end());
}

// The image's come first, so that none is made in a directory of the host's; the user's own last, over all that others
// put there.
void plan_mounts(runtime::ContainerSpec& spec, const std::vector<runtime::Mount>& of_image, const RunRequest& request,
                 const runtime::Host& host, const runtime::FstabMounts& configured) {
  spec.mounts = of_image;
  append(spec.mounts, runtime::base_container(host, request.base));
  if (request.remap == runtime::Remap::root) {
    spec.mounts.push_back({.source = runtime::FileMount{k_apt_config}, .target = k_apt_config_path});
  }
  append(spec.mounts, configured.before_hooks);
  spec.mounts_after_hooks = configured.after_hooks;
  append(spec.mounts_after_hooks, request.mounts);
}

void plan_hooks(Plan& plan, std::vector<std::filesystem::path> hooks, const Configuration& configuration,
                const RuntimeDirectory& directory, runtime::Environment environment, runtime::HookOutput output) {
  if (!hooks.empty()) make_hook_directory(directory);
  plan.spec.hooks = {.files = std::move(hooks),
                     .place = directory.hooks,
                     .variables = hook_variables(plan.spec.host),
                     .environment = std::move(environment),
                     .timeout = configuration.hook_timeout,
                     .output = output};
}

// Said before anything is started.
void check_sources(const std::vector<runtime::Mount>& mounts) {
  for (const runtime::Mount& mount : mounts) {
    const auto* bind = std::get_if<runtime::BindMount>(&mount.source);
    struct stat status {};
    if (bind == nullptr || mount.if_missing == runtime::IfMissing::skip || ::stat(bind->source.c_str(), &status) == 0) {
      continue;
    }
    if (errno == ENOENT)
      throw Error(fmt::format("source path does not exist: {}", printable(bind->source.string(), 4096)));
    throw SysError(fmt::format("cannot mount {}", printable(bind->source.string(), 4096)));
  }
}

void check_architecture(const BaseImage& image, const ImageConfig& config) {
  const std::string& wanted = config.platform.architecture;
  const std::string host = Platform::host().architecture;
  if (wanted.empty() || wanted == host || runtime::can_run_architecture(wanted, host)) return;
  throw Error(
      fmt::format("{} is for {}, this machine is {}", printable(image.reference, 4096), printable(wanted), host),
      fmt::format("`mlctr pull --arch {} …` gets the image for this machine, if there is one; an admin can make "
                  "this one run: apt install qemu-user-static binfmt-support",
                  host));
}

void tell_all(const std::vector<std::string>& lines, const RunRequest& request) {
  if (!request.tell) return;
  for (const std::string& line : lines) request.tell(line);
}

Plan make_plan(const Configuration& configuration, const RunSubject& subject, const ImageConfig& config,
               const RunRequest& request, const runtime::Host& host, const RuntimeDirectory& directory) {
  check_architecture(subject.image, config);
  check_sources(request.mounts);
  Plan plan;
  plan.spec.identity = runtime::current_identity(request.remap);
  plan.spec.own_namespaces = request.base.own_namespaces & ~CLONE_NEWPID;
  plan.spec.access = request.access;
  plan.spec.host = host;
  plan.spec.scratch = directory.scratch;
  ContainerDropIns drop_ins = read_container_drop_ins(configuration, host, directory.scratch);
  tell_all(drop_ins.warnings, request);
  plan_mounts(plan.spec, enroot_mounts(config, directory.scratch, request.tell), request, host, drop_ins.mounts);
  plan.configured = std::move(drop_ins.environment);
  plan_hooks(plan, std::move(drop_ins.hooks), configuration, directory,
             container_environment(request, config, host, plan.configured), request.hook_output);
  if (subject.container) {
    plan.spec.upper = runtime::DirectoryUpper{subject.container->upper, subject.container->work};
  }
  plan.program = make_program(request, config, host);
  plan.images.emplace_back(subject.image.squashfs);
  plan.own_environment = request.environment;
  plan.instead = request.instead;
  for (const auto* mounts : {&plan.spec.mounts, &plan.spec.mounts_after_hooks}) {
    for (const auto& file : runtime::squashfs_files(*mounts)) plan.images.emplace_back(file);
  }
  return plan;
}

std::string describe(const RunSubject& subject, const ImageConfig& config, const RunRequest& request,
                     const Plan& plan) {
  return to_description({.name = subject.container ? subject.container->record.name : "",
                         .image = subject.image.reference,
                         .command = plan.program.command,
                         .started_at = std::time(nullptr),
                         .remap = request.remap,
                         .home = request.base.home,
                         .image_environment = config.environment,
                         .configured = plan.configured,
                         .environment = request.environment,
                         .image_directory = config.working_directory,
                         .working_directory = request.working_directory});
}

// `plan` must stay where it is: its images are what there is to fall back to.
void plan_rootfs(Plan& plan, const Configuration& configuration, const RunSubject& subject, const RunRequest& request) {
  const StoredContainer* container = subject.container ? &*subject.container : nullptr;
  plan.spec.choice = configuration.rootfs;
  if (container != nullptr) {
    plan.spec.copy = find_copy(*container);
    if (plan.spec.choice != runtime::RootfsChoice::fuse_overlayfs) translate_foreign_marks(*container);
  }
  plan.spec.fallback = make_rootfs_fallback(configuration, subject.image, container, plan.images, request.tell);
}

runtime::ContainerServer start_server(const Plan& plan, runtime::ContainerSocket socket, std::string description,
                                      const std::filesystem::path& containers) {
  runtime::ServerSetup setup{
      .images = {},
      .options = {.owner = {plan.spec.identity.uid, plan.spec.identity.gid},
                  .programs = runtime::program_paths(plan.program.command[0], plan.spec.hooks.environment.entries())},
      .socket = std::move(socket),
      .description = std::move(description),
      .at_end = [containers] { remove_dead_unpacked(containers); }};
  for (const OpenImage& image : plan.images) setup.images.push_back(image.reader.get());
  return runtime::ContainerServer::start(std::move(setup));
}

// A socket to listen on, or the answer of the container that does already.
std::variant<runtime::ContainerSocket, runtime::Message> claim(const RuntimeDirectory& directory,
                                                               const ContainerStore& containers,
                                                               const std::string& name) {
  for (;;) {
    auto answer = ask_named_container(directory, containers, name, runtime::k_join);
    if (answer && !answer->fds.empty()) return std::move(*answer);
    if (auto socket = try_take_socket(directory, socket_name(containers.root(), name))) {
      return std::move(*socket);
    }
  }
}

// An unnamed container is nobody else's: where an earlier one still has the name that this pid gives, it gets another.
runtime::ContainerSocket claim_unnamed(const RuntimeDirectory& directory) {
  std::string id = fmt::format("{}", ::getpid());
  for (;;) {
    if (auto socket = try_take_socket(directory, unnamed_socket_name(id))) return std::move(*socket);
    id = fmt::format("{}.{}", ::getpid(), random_suffix());
  }
}

// Somebody may have removed the container since it was found; from here on nobody can.
void check_still_there(const StoredContainer& container) {
  if (std::filesystem::exists(container.upper)) return;
  throw Error(fmt::format("the container {} was removed just now", container.record.name));
}

RunResult join(const runtime::Message& running, const ImageConfig& config, const RunRequest& request,
               const runtime::Host& host) {
  if (request.before_join) request.before_join();
  const RunningContainer container = parse_description(running.text);
  RunRequest here = request;
  here.base.home = container.home;
  const runtime::Environment environment = container_environment(here, config, host, container.configured);
  if (request.instead) return request.instead(environment), RunResult{runtime::Exited{0}};
  runtime::Program program = make_program(here, config, host);
  program.environment = environment.entries();
  return {run_inside(running, program)};
}

bool must_wait(const RunSubject& subject, const RunRequest& request) {
  return (request.base.own_namespaces & CLONE_NEWPID) != 0 || request.lifetime == Lifetime::remove ||
         (!subject.container && request.lost_changes == LostChanges::tell &&
          request.access == runtime::RootfsAccess::read_write);
}

// Returns the program's environment: the plan's, with what the hooks made of it.
runtime::Environment build(const Plan& plan, const runtime::ContainerServer& server, const ChangedFiles* changed) {
  const runtime::BuiltContainer built = runtime::build_container(plan.spec, server);
  if (changed != nullptr && built.upper) changed->begin(built.upper);
  if (!built.environment.empty()) {
    std::vector<runtime::EnvironmentEdit> configured = plan.configured;
    configured.insert(configured.end(), built.environment.begin(), built.environment.end());
    server.describe(describe_configured(configured));
  }
  server.open_door();
  runtime::Environment environment = plan.spec.hooks.environment;
  environment.apply(built.environment);
  environment.set_entries(plan.own_environment, "--env");  // over the hooks', as over all else
  return environment;
}

[[noreturn]] void become(const Plan& plan, const runtime::Environment& environment) {
  if (plan.instead) {
    plan.instead(environment);
    ::_exit(0);
  }
  runtime::Program program = plan.program;
  program.environment = environment.entries();
  runtime::become(program);
}

// Exceptions of a forked process rise to main() like any other: it has nothing open that its parent would miss.
[[noreturn]] void build_and_become(const Plan& plan, const runtime::ContainerServer& server,
                                   const ChangedFiles* changed) {
  become(plan, build(plan, server, changed));
}

// Process 1 of a pid namespace: builds the container, whose /proc shows that namespace, and reaps what the program
// leaves behind.
[[noreturn]] void be_init(const Plan& plan, const runtime::ContainerServer& server, const ChangedFiles& changed) {
  const runtime::Environment environment = build(plan, server, &changed);
  const runtime::ProgramEnd end = runtime::supervise([&] { become(plan, environment); });
  ::_exit(runtime::shell_exit_code(end));
}

// The server is let go at the end: it waits for what its maker may still ask for.
runtime::ProgramEnd build_and_wait(const Plan& plan, const runtime::ContainerServer server, const ChangedFiles& changed,
                                   int own_namespaces) {
  if ((own_namespaces & CLONE_NEWPID) != 0) {
    runtime::enter_new_namespaces(plan.spec.identity, CLONE_NEWPID);
    return runtime::supervise([&] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // as below; the kernel ends the rest of the namespace with it
      be_init(plan, server, changed);
    });
  }
  return runtime::supervise([&] {
    runtime::enter_new_namespaces(plan.spec.identity, 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // who kills mlctr means the program
    build_and_become(plan, server, &changed);
  });
}

}  // namespace

RunResult run_container(const Configuration& configuration, const RunSubject& subject, const RunRequest& request,
                        const runtime::Host& host) {
  const ImageConfig config = config_of(subject.image, host);
  const RuntimeDirectory directory = open_runtime_directory();
  const ContainerStore containers = open_containers(configuration);
  runtime::ContainerSocket socket;
  if (subject.container) {
    auto place = claim(directory, containers, subject.container->record.name);
    if (const auto* running = std::get_if<runtime::Message>(&place)) return join(*running, config, request, host);
    socket = std::move(std::get<runtime::ContainerSocket>(place));
  } else {
    socket = claim_unnamed(directory);
  }

  Plan plan;
  try {
    if (subject.container) check_still_there(*subject.container);
    plan = make_plan(configuration, subject, config, request, host, directory);
    plan_rootfs(plan, configuration, subject, request);
  } catch (...) {
    socket.remove();  // no server will
    throw;
  }
  runtime::ContainerServer server =
      start_server(plan, std::move(socket), describe(subject, config, request, plan), containers.root());
  if (!must_wait(subject, request)) {
    runtime::enter_new_namespaces(plan.spec.identity, 0);
    build_and_become(plan, server, nullptr);
  }
  const ChangedFiles changed;
  const runtime::ProgramEnd end = build_and_wait(plan, std::move(server), changed, request.base.own_namespaces);
  if (subject.container && request.lifetime == Lifetime::remove) {
    const std::string& name = subject.container->record.name;
    const bool is_removed = remove_idle_container(containers, directory, name);
    if (!is_removed && request.tell) {
      request.tell(fmt::format("{0} stays, as others still run in it; `mlctr rm {0}` removes it", name));
    }
  }
  const bool is_asked = !subject.container && request.lost_changes == LostChanges::tell;
  return {end, is_asked ? changed.find(k_lost_examples) : LostFiles{}};
}

void explain_environment(const Configuration& configuration, const RunSubject& subject, const RunRequest& request,
                         const runtime::Host& host, const std::function<void(const runtime::Environment&)>& print) {
  const ContainerDropIns drop_ins = read_container_drop_ins(configuration, host, k_no_rootfs);
  if (drop_ins.hooks.empty()) {
    tell_all(drop_ins.warnings, request);
    return print(container_environment(request, config_of(subject.image, host), host, drop_ins.environment));
  }
  RunRequest started = request;
  started.instead = print;
  const RunResult result = run_container(configuration, subject, started, host);
  if (const int code = runtime::shell_exit_code(result.end); code != 0) throw Error("the container did not start");
}

}  // namespace mlctr
