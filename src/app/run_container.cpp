#include "app/run_container.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <optional>

#include "app/changed_files.hpp"
#include "app/container_drop_ins.hpp"
#include "app/container_edits.hpp"
#include "app/container_place.hpp"
#include "app/container_program.hpp"
#include "app/exec_container.hpp"
#include "app/planned_container.hpp"
#include "app/remove_container.hpp"
#include "app/running_container.hpp"
#include "app/runtime_directory.hpp"
#include "base/error.hpp"
#include "runtime/container_server.hpp"

namespace mlctr {
namespace {

// Stands for the rootfs where none is made.
constexpr const char* k_no_rootfs = "/run/mlctr/rootfs";
constexpr std::size_t k_lost_examples = 3;  // what fits a line

RunResult join(const runtime::Message& running, const ImageConfig& config, const RunRequest& request,
               const runtime::Host& host) {
  if (request.before_join) request.before_join();
  const RunningContainer container = parse_description(running.text);
  RunRequest here = request;
  here.base.home = container.home;
  here.renumbered = container.renumbered;
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

[[noreturn]] void become(const PlannedContainer& plan, const RunRequest& request,
                         const runtime::Environment& environment) {
  if (request.instead) {
    request.instead(environment);
    ::_exit(0);
  }
  runtime::Program program = plan.program();
  program.environment = environment.entries();
  runtime::become(program);
}

// Exceptions of a forked process rise to main() like any other: it has nothing open that its parent would miss.
[[noreturn]] void build_and_become(PlannedContainer& plan, const RunRequest& request,
                                   const runtime::ContainerServer& server, const ChangedFiles* changed) {
  become(plan, request, plan.build(server, changed));
}

// Process 1 of a pid namespace: builds the container, whose /proc shows that namespace, and reaps what the program
// leaves behind.
[[noreturn]] void be_init(PlannedContainer& plan, const RunRequest& request, const runtime::ContainerServer& server,
                          const ChangedFiles& changed) {
  const runtime::Environment environment = plan.build(server, &changed);
  const runtime::ProgramEnd end = runtime::supervise([&] { become(plan, request, environment); });
  ::_exit(runtime::shell_exit_code(end));
}

// The server is let go at the end: it waits for what its maker may still ask for.
runtime::ProgramEnd build_and_wait(PlannedContainer& plan, const RunRequest& request,
                                   const runtime::ContainerServer server, const ChangedFiles& changed) {
  if ((request.base.own_namespaces & CLONE_NEWPID) != 0) {
    runtime::enter_new_namespaces(plan.identity(), CLONE_NEWPID);
    return runtime::supervise([&] {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // as below; the kernel ends the rest of the namespace with it
      be_init(plan, request, server, changed);
    });
  }
  return runtime::supervise([&] {
    runtime::enter_new_namespaces(plan.identity(), 0);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // who kills mlctr means the program
    build_and_become(plan, request, server, &changed);
  });
}

void remove_afterwards(const Configuration& configuration, const RuntimeDirectory& directory, const std::string& name,
                       const RunRequest& request) {
  if (!remove_idle_container(configuration, directory, name) && request.tell) {
    request.tell(fmt::format("{0} stays, as others still run in it; `mlctr rm {0}` removes it", name));
  }
}

}  // namespace

RunResult run_container(const Configuration& configuration, const RunSubject& subject, const RunRequest& request,
                        const runtime::Host& host) {
  const ImageConfig config = config_of(subject.image, host);
  const RuntimeDirectory directory = open_runtime_directory();
  const ContainerStore containers = open_containers(configuration);
  ContainerPlace place = subject.container ? claim_named(directory, containers, subject.container->record.name)
                                           : ContainerPlace(claim_own(directory));
  if (const auto* running = std::get_if<runtime::Message>(&place)) return join(*running, config, request, host);

  auto& socket = std::get<runtime::ContainerSocket>(place);
  std::optional<PlannedContainer> plan;
  try {
    plan.emplace(configuration, subject, request, config, host, directory);
  } catch (...) {
    socket.remove();  // no server will
    throw;
  }
  runtime::ContainerServer server = plan->start_server(std::move(socket), containers);
  if (!must_wait(subject, request)) {
    runtime::enter_new_namespaces(plan->identity(), 0);
    build_and_become(*plan, request, server, nullptr);
  }
  const ChangedFiles changed;
  const runtime::ProgramEnd end = build_and_wait(*plan, request, std::move(server), changed);
  if (subject.container && request.lifetime == Lifetime::remove) {
    remove_afterwards(configuration, directory, subject.container->record.name, request);
  }
  const bool is_asked = !subject.container && request.lost_changes == LostChanges::tell;
  return {end, is_asked ? changed.find(k_lost_examples) : LostFiles{}};
}

std::string explain_hooks(const Configuration& configuration, const RunSubject& subject, const RunRequest& request,
                          const runtime::Host& host) {
  const ContainerDropIns drop_ins = read_container_drop_ins(configuration, host, k_no_rootfs);
  const ImageConfig config = config_of(subject.image, host);
  return hooks::to_json(plan_container_edits(configuration, request,
                                             container_environment(request, config, host, drop_ins.environment), host));
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
