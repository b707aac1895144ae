#include "cli/run_options.hpp"

#include <fmt/format.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "app/mount_option.hpp"
#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"
#include "cli/signals.hpp"
#include "hooks/gpu_request.hpp"
#include "runtime/environment.hpp"
#include "runtime/host.hpp"

namespace mlctr::cli {
namespace {

constexpr std::uint64_t k_max_env_file_bytes = 1u << 20;

struct Namespace {
  std::string_view name;
  int flag;
};
constexpr std::array<Namespace, 4> k_namespaces{
    {{"net", CLONE_NEWNET}, {"ipc", CLONE_NEWIPC}, {"uts", CLONE_NEWUTS}, {"pid", CLONE_NEWPID}}};

int parse_namespace(const std::string& name) {
  const auto found = std::ranges::find(k_namespaces, name, &Namespace::name);
  if (found != k_namespaces.end()) return found->flag;
  throw UsageError(fmt::format("--unshare: unknown namespace: {}", printable(name)), "it is net, ipc, uts or pid");
}

std::vector<std::string> read_env_file(const std::string& path, const std::vector<std::string>& host) {
  try {
    return runtime::parse_env_file(read_file(path, k_max_env_file_bytes), host);
  } catch (Error& error) {
    error.add_context(fmt::format("--env-file {}", printable(path, 4096)));
    throw;
  }
}

// What other tools have, and what there is instead.
struct ForeignOption {
  std::string_view name, hint;
};
constexpr std::string_view k_no_terminal_option = "a terminal needs no option";
constexpr std::string_view k_mount = "it is --mount SRC:DST here";
constexpr std::string_view k_user = "you are yourself inside; --remap-root makes you root there";
constexpr std::string_view k_ports = "the container has the host's network: what listens in it can be reached as it is";
constexpr std::string_view k_network =
    "the container has the host's network; --unshare net gives it one of its own, with nothing in it";
constexpr std::string_view k_gpus = "`mlctr run --gpus all …` starts a container with the host's GPUs";
constexpr std::string_view k_background = "the shell's & puts it into the background; `mlctr exec` enters it";
constexpr std::array<ForeignOption, 20> k_foreign_options{{{"-it", k_no_terminal_option},
                                                           {"-ti", k_no_terminal_option},
                                                           {"-i", k_no_terminal_option},
                                                           {"-t", k_no_terminal_option},
                                                           {"--interactive", k_no_terminal_option},
                                                           {"--tty", k_no_terminal_option},
                                                           {"-v", k_mount},
                                                           {"--volume", k_mount},
                                                           {"-u", k_user},
                                                           {"--user", k_user},
                                                           {"--privileged", k_user},
                                                           {"-p", k_ports},
                                                           {"-P", k_ports},
                                                           {"--publish", k_ports},
                                                           {"--network", k_network},
                                                           {"--net", k_network},
                                                           {"--gpus", k_gpus},
                                                           {"--nv", k_gpus},
                                                           {"-d", k_background},
                                                           {"--detach", k_background}}};

// "--user=0" and "-u0" are "--user" and "-u" with a value.
bool is_option(std::string_view given, std::string_view name) {
  if (name.starts_with("--")) return given.substr(0, given.find('=')) == name;
  return given == name || (name.size() == 2 && name != "-i" && name != "-t" && given.starts_with(name));
}

[[noreturn]] void refuse_option(const std::string& option, std::string_view command) {
  const auto known =
      std::ranges::find_if(k_foreign_options, [&](const auto& row) { return is_option(option, row.name); });
  throw UsageError(
      fmt::format("mlctr {}: no such option: {}", command, printable(option)),
      known == k_foreign_options.end() ? fmt::format("mlctr {} --help lists them", command) : std::string(known->hint));
}

}  // namespace

void add_program_options(CLI::App& command, const std::shared_ptr<RunOptions>& options) {
  RunRequest& request = options->request;
  command.add_flag_callback(
      "--remap-root,-r", [&request] { request.remap = runtime::Remap::root; },
      "Be root inside: apt, pip and dpkg can install");
  command.add_flag_callback(
      "--no-remap-root", [&request] { request.remap = runtime::Remap::none; }, "Be yourself inside (the default)");
  command.add_option("--env,-e", options->environment, "Set a variable; a NAME alone passes the host's on")
      ->type_name("NAME[=VALUE]")
      ->allow_extra_args(false);
  command.add_option("--env-file", options->environment_files, "The same, a line each")
      ->type_name("FILE")
      ->allow_extra_args(false);
  command
      .add_option("--workdir,-w", request.working_directory,
                  "Where to start (default: the image's WORKDIR, else the current directory)")
      ->type_name("DIR");
}

void add_container_options(CLI::App& command, const std::shared_ptr<RunOptions>& options) {
  RunRequest& request = options->request;
  command
      .add_option("--mount,-m", options->mounts, "SRC[:DST[:ro+…]]: a directory, file or .sqsh; tmpfs:DST; umount:DST")
      ->type_name("MOUNT")
      ->allow_extra_args(false);
  command.add_flag_callback(
      "--mount-home", [&request] { request.base.home = runtime::HomeMount::yes; }, "See your home (the default)");
  command.add_flag_callback(
      "--no-mount-home", [&request] { request.base.home = runtime::HomeMount::no; }, "Don't");
  command.add_flag_callback(
      "--read-only", [&request] { request.access = runtime::RootfsAccess::read_only; },
      "No file of the image can change");
  command.add_flag_callback(
      "--writable", [&request] { request.access = runtime::RootfsAccess::read_write; },
      "Files can change (the default); without --name changes end with the program");
  command.add_option("--unshare", options->unshared, "Namespaces of its own: net, ipc, uts, pid")
      ->type_name("LIST")
      ->delimiter(',')
      ->allow_extra_args(false);
  command.add_flag_callback(
      "--host-devices", [&request] { request.base.devices = runtime::DeviceDirectory::hosts; },
      "See the host's whole /dev");
  command
      .add_option_function<std::string>(
          "--gpus", [&request](const std::string& text) { request.gpus = text; },
          "all, none, a count, device=0,1: also UUIDs, PCI ids; capabilities=utility")
      ->type_name("GPUS");
  command.add_option("--device", request.devices, "A device by its CDI name: nvidia.com/gpu=0")
      ->type_name("NAME")
      ->allow_extra_args(false);
  command.add_option("--entrypoint", request.own_entrypoint, "Instead of the image's")->type_name("PROGRAM");
  command.add_flag_callback(
      "--no-entrypoint", [&request] { request.entrypoint = Entrypoint::none; }, "Run the command alone");
}

std::vector<std::string> given_container_options(const CLI::App& command) {
  std::vector<std::string> given;
  for (const char* name : {"--mount", "--mount-home", "--no-mount-home", "--read-only", "--writable", "--unshare",
                           "--host-devices", "--gpus", "--device"}) {
    if (command.count(name) > 0) given.emplace_back(name);
  }
  return given;
}

RunRequest make_run_request(const RunOptions& options, const runtime::Host& host) {
  RunRequest request = options.request;
  for (const std::string& file : options.environment_files) {
    for (std::string& entry : read_env_file(file, host.environment)) request.environment.push_back(std::move(entry));
  }
  for (const std::string& text : options.environment) {
    if (auto entry = runtime::parse_env_option(text, host.environment))
      request.environment.push_back(std::move(*entry));
  }
  for (const std::string& text : options.mounts) request.mounts.push_back(parse_mount(text, host.current_directory));
  if (request.gpus) hooks::check_gpus_option(*request.gpus);  // before the image is asked for
  for (const std::string& name : options.unshared) request.base.own_namespaces |= parse_namespace(name);
  return request;
}

RunWords split_run_words(const std::vector<std::string>& words, std::string_view command, const UsageError& missing) {
  if (words.empty()) throw missing;
  if (words[0].starts_with('-') && words[0] != "--") refuse_option(words[0], command);
  const bool has_dashes = words.size() > 1 && words[1] == "--";
  return {words[0], {words.begin() + (has_dashes ? 2 : 1), words.end()}};
}

int end_as(const runtime::ProgramEnd& end) {
  if (const auto* killed = std::get_if<runtime::Killed>(&end)) {
    constexpr std::array k_users_own{SIGINT, SIGTERM, SIGHUP, SIGQUIT};
    // So that a shell's loop around us stops; a crash of the program's is no crash of ours.
    if (std::ranges::find(k_users_own, killed->signal_number) != k_users_own.end())
      die_of_signal(killed->signal_number);
  }
  return runtime::shell_exit_code(end);
}

}  // namespace mlctr::cli
