#include "app/container_program.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/path.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

void append(std::vector<std::string>& words, const std::vector<std::string>& more) {
  words.insert(words.end(), more.begin(), more.end());
}

bool sees_home(const RunRequest& request, const runtime::Host& host) {
  return request.base.home == runtime::HomeMount::yes && !host.home.empty();
}

// dpkg refuses to work without start-stop-daemon and ldconfig, which images for users leave out of reach.
void add_sbin(runtime::Environment& environment) {
  std::string path(environment.value("PATH"));
  if (path.empty()) return;  // the program's loader has a default of its own
  for (const char* directory : {"/usr/sbin", "/sbin"}) {
    if (fmt::format(":{}:", path).find(fmt::format(":{}:", directory)) == std::string::npos) {
      path += fmt::format(":{}", directory);
    }
  }
  if (path != environment.value("PATH")) environment.set("PATH", path, "image and mlctr: sbin for root");
}

// Debian's shells begin their prompt with debian_chroot.
void add_names(runtime::Environment& environment, const RunRequest& request) {
  if (!request.container_name.empty()) environment.set("MLCTR_CONTAINER", request.container_name, "mlctr");
  if (!request.prompt_name.empty() && !environment.has("debian_chroot")) {
    environment.set("debian_chroot", request.prompt_name, "mlctr");
  }
}

}  // namespace

std::vector<std::string> container_command(const RunRequest& request, const ImageConfig& config) {
  std::vector<std::string> words;
  const bool is_replaced = !request.own_entrypoint.empty();
  if (is_replaced) {
    words.push_back(request.own_entrypoint);
  } else if (request.entrypoint == Entrypoint::image) {
    append(words, config.entrypoint);
  }
  if (!request.command.empty()) {
    append(words, request.command);
  } else if (!is_replaced) {
    append(words, config.command);
  }
  if (words.empty()) words.emplace_back("/bin/sh");
  return words;
}

runtime::Environment container_environment(const RunRequest& request, const ImageConfig& config,
                                           const runtime::Host& host,
                                           const std::vector<runtime::EnvironmentEdit>& configured) {
  const bool is_root = request.remap == runtime::Remap::root;
  runtime::Environment environment;
  environment.set("PATH", std::string(runtime::k_default_path), "mlctr");
  environment.set_entries(config.environment, "image");
  runtime::add_host_environment(environment, host.environment);

  // Who the program is depends on the container, whatever image and host say.
  const std::string home = is_root ? "/root" : sees_home(request, host) ? host.home.string() : "/";
  environment.set("HOME", home, "mlctr");
  for (const char* name : {"USER", "LOGNAME"}) {
    if (is_root) environment.set(name, "root", "mlctr");
  }
  environment.set("container", "mlctr", "mlctr");  // systemd's convention: programs ask it
  if (!environment.has("TZ") && !host.zone.empty()) environment.set("TZ", host.zone, "mlctr");
  // The host's ~/.local holds packages for the host's python.
  if (sees_home(request, host) && !environment.has("PYTHONNOUSERSITE")) {
    environment.set("PYTHONNOUSERSITE", "1", "mlctr");
  }
  if (is_root) environment.set("APT_CONFIG", k_apt_config_path, "mlctr");
  if (is_root) add_sbin(environment);
  add_names(environment, request);
  runtime::renumber(environment, request.renumbered);
  environment.apply(configured);
  environment.set_entries(request.environment, "--env");
  return environment;
}

std::string prompt_name_of(std::string_view container, std::string_view image) {
  if (container.empty()) image.remove_prefix(image.rfind('/') + 1);  // npos + 1 is 0
  return printable(container.empty() ? image : container);
}

bool shows_current_directory(const RunRequest& request, const runtime::Host& host) {
  return runtime::sees_current_directory(host, request.base) ||
         std::ranges::any_of(request.mounts, [&](const runtime::Mount& mount) {
           return is_below(host.current_directory, mount.target) &&
                  !std::holds_alternative<runtime::Unmount>(mount.source);
         });
}

std::vector<std::string> working_directories(const RunRequest& request, const ImageConfig& config,
                                             const runtime::Host& host) {
  if (!request.working_directory.empty()) return {request.working_directory};
  std::vector<std::string> directories;
  if (!config.working_directory.empty() && config.working_directory != "/") {
    directories.push_back(config.working_directory);
  }
  if (shows_current_directory(request, host)) directories.push_back(host.current_directory.string());
  directories.emplace_back("/");
  return directories;
}

}  // namespace mlctr
