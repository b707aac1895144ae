#include "app/planned_container.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <sys/stat.h>

#include <ctime>

#include "app/container_drop_ins.hpp"
#include "app/container_edits.hpp"
#include "app/container_program.hpp"
#include "app/driver_traces.hpp"
#include "app/enroot_image.hpp"
#include "app/overlay_marks.hpp"
#include "app/rootfs_fallback.hpp"
#include "app/temporary_upper.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "runtime/apply_mounts.hpp"
#include "runtime/binary_format.hpp"
#include "store/remove_tree.hpp"

namespace mlctr {
namespace {

void append_mounts(std::vector<runtime::Mount>& mounts, const std::vector<runtime::Mount>& more) {
  mounts.insert(mounts.end(), more.begin(), more.end());
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

// Somebody may have removed the container since it was found; who has its socket knows that nobody can from here on.
void check_still_there(const StoredContainer& container) {
  if (std::filesystem::exists(container.upper)) return;
  throw Error(fmt::format("the container {} was removed just now", container.record.name));
}

RunningContainer describe(const RunSubject& subject, const ImageConfig& config, const RunRequest& request,
                          const std::vector<std::string>& command,
                          const std::vector<runtime::EnvironmentEdit>& configured) {
  return {.name = subject.container ? subject.container->record.name : "",
          .image = subject.image.reference,
          .command = command,
          .started_at = std::time(nullptr),
          .remap = request.remap,
          .home = request.base.home,
          .image_environment = config.environment,
          .configured = configured,
          .environment = request.environment,
          .renumbered = request.renumbered,
          .image_directory = config.working_directory,
          .working_directory = request.working_directory};
}

}  // namespace

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

void tell_all(const std::vector<std::string>& lines, const RunRequest& request) {
  if (!request.tell) return;
  for (const std::string& line : lines) request.tell(line);
}

PlannedContainer::PlannedContainer(const Configuration& configuration, const RunSubject& subject, RunRequest request,
                                   const ImageConfig& config, const runtime::Host& host,
                                   const RuntimeDirectory& directory) {
  if (subject.container) check_still_there(*subject.container);
  check_architecture(subject.image, config);
  check_sources(request.mounts);
  spec_.identity = runtime::current_identity(request.remap);
  spec_.own_namespaces = request.base.own_namespaces & ~CLONE_NEWPID;
  spec_.access = request.access;
  spec_.host = host;
  spec_.scratch = directory.scratch;
  ContainerDropIns drop_ins = read_container_drop_ins(configuration, host, directory.scratch);
  tell_all(drop_ins.warnings, request);
  plan_mounts(enroot_mounts(config, directory.scratch, request.tell), request, host, drop_ins.mounts);
  configured_ = std::move(drop_ins.environment);
  own_environment_ = request.environment;
  plan_edits(configuration, subject, request, config);
  plan_hooks(std::move(drop_ins.hooks), configuration, directory,
             container_environment(request, config, host, configured_), request.hook_output);
  program_ = make_program(request, config, host);
  open_images(subject);
  plan_rootfs(configuration, subject, request);
  description_ = describe(subject, config, request, program_.command, configured_);
}

// The image's come first, so that none is made in a directory of the host's; the user's own last, over all that others
// put there.
void PlannedContainer::plan_mounts(const std::vector<runtime::Mount>& of_image, const RunRequest& request,
                                   const runtime::Host& host, const runtime::FstabMounts& configured) {
  spec_.mounts = of_image;
  append_mounts(spec_.mounts, runtime::base_container(host, request.base));
  if (request.remap == runtime::Remap::root) {
    spec_.mounts.push_back({.source = runtime::FileMount{k_apt_config}, .target = k_apt_config_path});
  }
  append_mounts(spec_.mounts, configured.before_hooks);
  spec_.mounts_after_hooks = configured.after_hooks;
  append_mounts(spec_.mounts_after_hooks, request.mounts);
}

// A request's renumbering is settled here: what the program's environment depends on.
void PlannedContainer::plan_edits(const Configuration& configuration, const RunSubject& subject, RunRequest& request,
                                  const ImageConfig& config) {
  if (subject.container)
    remove_driver_traces(subject.container->upper.parent_path());  // of one whose server was killed
  const auto environment = [&] { return container_environment(request, config, spec_.host, configured_); };
  hooks::Edits edits = plan_container_edits(configuration, request, environment(), spec_.host);
  for (const hooks::HookWarning& warning : edits.warnings) {
    tell_all({fmt::format("{}: {}", warning.origin, warning.text)}, request);
  }
  request.renumbered = edits.renumbered;
  const auto changes = hooks::environment_edits(edits, environment());
  configured_.insert(configured_.end(), changes.begin(), changes.end());
  spec_.edits = hooks::carried_out(edits);
  if (subject.container && !spec_.edits.mounts.empty()) {
    traced_ = subject.container->upper.parent_path();
    traces_ = open_driver_traces(*subject.container);
  }
}

void PlannedContainer::plan_hooks(std::vector<std::filesystem::path> hooks, const Configuration& configuration,
                                  const RuntimeDirectory& directory, runtime::Environment environment,
                                  runtime::HookOutput output) {
  if (!hooks.empty() || !spec_.edits.hooks.empty()) make_hook_directory(directory);
  spec_.hooks = {.files = std::move(hooks),
                 .place = directory.hooks,
                 .variables = hook_variables(spec_.host),
                 .environment = std::move(environment),
                 .timeout = configuration.hook_timeout,
                 .output = output};
}

void PlannedContainer::open_images(const RunSubject& subject) {
  images_.emplace_back(subject.image.squashfs);
  for (const auto& layer : subject.layers) images_.emplace_back(layer);
  spec_.layers = subject.layers.size();
  for (const auto* mounts : {&spec_.mounts, &spec_.mounts_after_hooks}) {
    for (const auto& file : runtime::squashfs_files(*mounts)) images_.emplace_back(file);
  }
}

void PlannedContainer::plan_rootfs(const Configuration& configuration, const RunSubject& subject,
                                   const RunRequest& request) {
  const StoredContainer* container = subject.container ? &*subject.container : nullptr;
  spec_.choice = configuration.rootfs;
  if (container != nullptr) {
    spec_.upper = runtime::DirectoryUpper{container->upper, container->work};
    spec_.copy = find_copy(*container);
    if (spec_.choice != runtime::RootfsChoice::fuse_overlayfs) translate_foreign_marks(*container);
  } else if (request.access == runtime::RootfsAccess::read_write) {
    temporary_upper_ = make_temporary_upper(configuration);
    if (temporary_upper_) {
      spec_.upper = runtime::DirectoryUpper{temporary_upper_->tree / "upper", temporary_upper_->tree / "work"};
    }
  }
  spec_.fallback = make_rootfs_fallback(configuration, subject.image, container, images_, request.tell);
}

runtime::ContainerServer PlannedContainer::start_server(runtime::ContainerSocket socket,
                                                        const ContainerStore& containers,
                                                        std::vector<int> not_for_server) {
  runtime::ServerSetup setup{
      .images = {},
      .options = {.owner = {spec_.identity.uid, spec_.identity.gid},
                  .programs = runtime::program_paths(program_.command[0], spec_.hooks.environment.entries())},
      .socket = std::move(socket),
      .description = to_description(description_),
      .at_end =
          [root = containers.root(), traced = traced_,
           own = temporary_upper_ ? temporary_upper_->tree.parent_path() : std::filesystem::path()] {
            if (!own.empty()) remove_tree(own);
            remove_dead_unpacked(root);
            if (!traced.empty()) remove_driver_traces(traced);
          },
      .not_inherited = std::move(not_for_server)};
  setup.first_layer = 1;
  setup.end_of_layers = 1 + spec_.layers;
  for (const OpenImage& image : images_) setup.images.push_back({image.reader.get(), image.file.get()});
  return runtime::ContainerServer::start(std::move(setup));
}

runtime::Environment PlannedContainer::build(const runtime::ContainerServer& server, const ChangedFiles* changed) {
  const runtime::BuiltContainer built = runtime::build_container(spec_, server);
  if (traces_) note_driver_traces(traces_, built.made, *images_.front().reader);
  if (changed != nullptr && built.upper) changed->begin(built.upper);
  add_configured(server, built.environment);
  server.open_door();
  runtime::Environment environment = spec_.hooks.environment;
  environment.apply(built.environment);
  environment.set_entries(own_environment_, "--env");  // over the hooks', as over all else
  return environment;
}

void PlannedContainer::add_configured(const runtime::ContainerServer& server,
                                      const std::vector<runtime::EnvironmentEdit>& edits) {
  if (edits.empty()) return;
  configured_.insert(configured_.end(), edits.begin(), edits.end());
  server.describe(describe_configured(configured_));
}

}  // namespace mlctr
