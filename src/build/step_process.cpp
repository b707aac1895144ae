#include "build/step_process.hpp"

#include <fcntl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/ignored_signals.hpp"
#include "base/soft_limits.hpp"
#include "build/stage_tree.hpp"
#include "build/step_container.hpp"
#include "build/step_layer.hpp"
#include "build/step_mounts.hpp"
#include "build/unpack_archive.hpp"
#include "runtime/identity.hpp"
#include "runtime/process_table.hpp"
#include "runtime/program.hpp"
#include "store/overlay_directories.hpp"
#include "store/remove_tree.hpp"

namespace mlctr::build {
namespace {

constexpr mode_t k_umask = 022;  // whoever builds
constexpr const char* k_apt_config_path = "/run/mlctr/apt.conf";
constexpr const char* k_apt_config = "APT::Sandbox::User \"root\";\n";  // there is one user only
constexpr const char* k_host_name = "build";

/// A program of the step ended so.
struct ProgramFailure {
  int exit_code;
};

// In the process of one step.
class Worker {
 public:
  Worker(const StepJob& job, const squashfs::Tree* below, const BuildPlaces& places, std::filesystem::path directory,
         int result)
      : job_(job), below_(below), places_(places), directory_(std::move(directory)) {
    if (::mkdir(directory_.c_str(), 0700) != 0) throw SysError("cannot make " + directory_.string());
    make_overlay_directories(directory_);
    container_ = {.stack = stack_of(job.below, places.store, places.place, {}),
                  .sources = {},
                  .upper = directory_ / "upper",
                  .work = directory_ / "work",
                  .not_for_server = {result}};
    for (const StageFiles& source : job.sources) {
      container_.sources.push_back(stack_of(source, places.store, places.place, {}));
    }
  }

  std::optional<BuiltLayer> run() {
    changes_ = {.upper = container_.upper, .time = places_.time};
    std::visit([this](const auto& work) { carry_out(work); }, job_.work);
    // Programs take their own files' permissions away; here they are the user's, who may read them all the same.
    runtime::enter_new_namespaces(runtime::current_identity(runtime::Remap::none), 0);
    auto layer = make_step_layer(changes_, below(), places_.store, places_.packing, {});
    remove_tree(directory_);
    return layer;
  }

 private:
  const squashfs::Tree& below() {
    if (below_ == nullptr) below_ = &tree_.show(job_.below, places_.store);
    return *below_;
  }

  void carry_out(const RunStep& step) {
    const StepMounts mounts(step, places_, directory_);
    container_.own_namespaces = CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
    if (step.network == containerfile::RunNetwork::none) container_.own_namespaces |= CLONE_NEWNET;
    container_.mounts = step_mounts(container_.own_namespaces);
    container_.mounts.push_back({.source = runtime::FileMount{k_apt_config}, .target = k_apt_config_path});
    if (!step.script.empty()) {
      container_.mounts.push_back({.source = runtime::FileMount{step.script}, .target = k_script_path});
    }
    for (const runtime::Mount& mount : mounts.outside()) container_.mounts.push_back(mount);

    std::vector<std::string> targets = mounts.targets();
    for (const runtime::Mount& mount : container_.mounts) targets.push_back(mount.target);
    changes_.stubs = stubs_of(targets);

    const runtime::ProgramEnd end = run_in_step_container(
        container_, places_.scratch, [&](const runtime::BuiltContainer& built) { become_program(step, mounts, built); },
        [this] { below(); });
    if (const int code = runtime::shell_exit_code(end); code != 0) throw ProgramFailure{code};
  }

  [[noreturn]] static void become_program(const RunStep& step, const StepMounts& mounts,
                                          const runtime::BuiltContainer& built) {
    runtime::Program program{.command = step.command,
                             .environment = step.environment,
                             .directories = {step.directory},
                             .remap = runtime::Remap::root,
                             .umask = k_umask};
    for (std::string& variable : mounts.mount_inside(built)) program.environment.push_back(std::move(variable));
    program.environment.push_back(std::string("APT_CONFIG=") + k_apt_config_path);
    if (::sethostname(k_host_name, std::char_traits<char>::length(k_host_name)) != 0)
      throw SysError("cannot name the host");
    // Whoever started mlctr may have left descriptors open: they are none of the step's business.
    if (::close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) != 0) throw SysError("cannot close descriptors");
    runtime::become(program);
  }

  void carry_out(const CopyStep& step) {
    changes_.times = FileTimes::fixed;
    if (step.job.archives == ArchiveHandling::unpack) load_archive_libraries();
    if (!step.downloads.empty()) {
      downloads_.emplace(open_file(step.downloads, O_RDONLY | O_DIRECTORY), "what was downloaded");
    }
    changes_.owners = inside([&](const runtime::BuiltContainer& built) {
      const CopyResult result = copy(step, built);
      if (step.content && *step.content != result.content) {
        throw Error("the files changed while they were copied", "build again when nothing writes there");
      }
      return result.owners;
    });
  }

  CopyResult copy(const CopyStep& step, const runtime::BuiltContainer& built) const {
    if (!step.downloads.empty()) return run_copy(step.job, *downloads_, open_root());
    if (!step.source) return run_copy(step.job, places_.context, open_root());
    const Fd& stage = built.stacks.at(*step.source);
    return run_copy(step.job, SourceTree(Fd(::fcntl(stage.get(), F_DUPFD_CLOEXEC, 0)), "the stage"), open_root());
  }

  void carry_out(const DirectoryStep& step) {
    changes_.times = FileTimes::fixed;
    changes_.owners = inside(
        [&](const runtime::BuiltContainer&) { return make_directory_inside(step.path, step.owner, open_root()); });
  }

  static Fd open_root() { return open_file("/", O_PATH | O_DIRECTORY); }

  // What `work` returns comes from the process in the container through a file of ours.
  FileOwners inside(const std::function<FileOwners(const runtime::BuiltContainer&)>& work) {
    const Fd file = open_file(directory_ / "owners", O_RDWR | O_CREAT | O_EXCL, 0600);
    run_in_step_container(
        container_, places_.scratch,
        [&](const runtime::BuiltContainer& built) {
          ::umask(0);
          nlohmann::json list = nlohmann::json::array();
          for (const auto& [path, owner] : work(built)) {
            list.push_back({std::vector<std::uint8_t>(path.begin(), path.end()), owner.uid, owner.gid});
          }
          const std::vector<std::uint8_t> bytes = nlohmann::json::to_cbor(list);
          write_all(file.get(), std::as_bytes(std::span(bytes)), "a step's list");
        },
        [this] { below(); });
    const std::string bytes = read_file(directory_ / "owners", std::uint64_t{1} << 32);
    FileOwners owners;
    for (const auto& entry : nlohmann::json::from_cbor(bytes)) {
      const auto path = entry.at(0).get<std::vector<std::uint8_t>>();
      owners[std::string(path.begin(), path.end())] = {entry.at(1), entry.at(2)};
    }
    return owners;
  }

  const StepJob& job_;
  const squashfs::Tree* below_;  // null until it is read
  StageTree tree_;
  const BuildPlaces& places_;
  const std::filesystem::path directory_;
  StepContainer container_;
  StepChanges changes_;
  std::optional<SourceTree> downloads_;  // opened while the host's paths are there
};

StepOutcome carry_out(const StepJob& job, const squashfs::Tree* below, const BuildPlaces& places,
                      const std::filesystem::path& directory, int result) try {
  return {.layer = Worker(job, below, places, directory, result).run()};
} catch (const ProgramFailure& failure) {
  return {.exit_code = failure.exit_code};
} catch (const Error& error) {
  return {.message = error.message(), .hint = error.hint()};
} catch (const std::exception& error) {
  return {.message = error.what()};
}

void send(int pipe, const StepOutcome& outcome) {
  nlohmann::json json{{"message", outcome.message}, {"hint", outcome.hint}};
  if (outcome.layer) json["layer"] = {outcome.layer->diff_id.to_string(), outcome.layer->tar_bytes};
  if (outcome.exit_code) json["exit_code"] = *outcome.exit_code;
  const std::string text = json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  write_all(pipe, std::as_bytes(std::span(text)), "a pipe");
}

[[noreturn]] void be_worker(const StepJob& job, const squashfs::Tree* below, const BuildPlaces& places,
                            const std::filesystem::path& directory, const Fd& output, const Fd& result) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::setsid();  // no keys of a terminal, and no terminal for the step
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) ::signal(signal, SIG_DFL);
  try {
    const Fd null = open_file("/dev/null", O_RDONLY);
    ::dup2(null.get(), STDIN_FILENO);
    ::dup2(output.get(), STDOUT_FILENO);
    ::dup2(output.get(), STDERR_FILENO);
    ::close(output.get());  // a server that we start must not keep it open
    send(result.get(), carry_out(job, below, places, directory, result.get()));
  } catch (const std::exception&) {
    ::_exit(1);  // finish() says so
  }
  ::_exit(0);
}

}  // namespace

StepProcess StepProcess::start(const StepJob& job, const squashfs::Tree* below, const BuildPlaces& places,
                               const std::filesystem::path& directory) {
  auto [output, says] = make_pipe();
  auto [result, tells] = make_pipe();
  const pid_t pid = ::fork();
  if (pid < 0) throw fork_error("cannot start a step", errno);
  if (pid == 0) be_worker(job, below, places, directory, says, tells);
  return {pid, std::move(output), std::move(result)};
}

StepOutcome StepProcess::finish() {
  const std::string text = read_until_end(result_.get());
  runtime::reap(pid_);
  const auto json = nlohmann::json::parse(text, nullptr, false);
  if (json.is_discarded())
    return {.message = "the step's process was killed", .hint = "the kernel's log may say why: memory?"};
  StepOutcome outcome{.message = json.at("message"), .hint = json.at("hint")};
  if (json.contains("layer")) {
    outcome.layer = {Digest::parse(json.at("layer").at(0).get<std::string>()), json.at("layer").at(1)};
  }
  if (json.contains("exit_code")) outcome.exit_code = json.at("exit_code").get<int>();
  return outcome;
}

void StepProcess::kill() noexcept {
  ::kill(pid_, SIGKILL);
  runtime::reap(pid_);
}

}  // namespace mlctr::build
