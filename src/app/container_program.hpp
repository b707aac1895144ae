// What runs in a container, and in which environment: docker's rules for ENTRYPOINT, CMD, ENV and WORKDIR, and ours for
// what the host adds. Pure.
#pragma once

#include <string>
#include <vector>

#include "app/run_container.hpp"
#include "image/config.hpp"
#include "runtime/environment.hpp"
#include "runtime/host.hpp"
#include "runtime/program.hpp"

namespace mlctr {

/// ENTRYPOINT + (the request's command, else CMD); /bin/sh where all are empty.
std::vector<std::string> container_command(const RunRequest& request, const ImageConfig& config);

/// `configured`: what the configuration directories make of it, over image and host and under the user's --env.
runtime::Environment container_environment(const RunRequest& request, const ImageConfig& config,
                                           const runtime::Host& host,
                                           const std::vector<runtime::EnvironmentEdit>& configured = {});

/// What a shell's prompt calls a container: its name, or an unnamed one's image, without the way to it ("python:3.8").
std::string prompt_name_of(std::string_view container, std::string_view image);

/// Where the program may start, the first that exists: what was asked for (then nothing else), the image's WORKDIR, the
/// directory the user stands in, the root.
std::vector<std::string> working_directories(const RunRequest& request, const ImageConfig& config,
                                             const runtime::Host& host);

/// Whether the user's current directory is to be seen in the container, by itself or through a --mount.
bool shows_current_directory(const RunRequest& request, const runtime::Host& host);

/// Where apt is told, in a container of mapped root, to leave its sandbox user alone: there is one user only.
inline constexpr const char* k_apt_config_path = "/run/mlctr/apt.conf";
inline constexpr const char* k_apt_config = "APT::Sandbox::User \"root\";\n";

}  // namespace mlctr
