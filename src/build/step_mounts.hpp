// RUN --mount: what a step sees besides its rootfs, made ready in two places: outside, where the host's paths are, and
// inside the container.
#pragma once

#include <string>
#include <vector>

#include "base/fd.hpp"
#include "build/step_job.hpp"
#include "runtime/container.hpp"
#include "runtime/mount.hpp"

namespace mlctr::build {

class StepMounts {
 public:
  /// Copies what is mounted of the context to `directory` (what is ignored is not there), and makes caches, or waits
  /// for those that others use alone. Throws Error.
  StepMounts(const RunStep& step, const BuildPlaces& places, const std::filesystem::path& directory);

  /// For ContainerSpec::mounts, in the order they were asked for.
  const std::vector<runtime::Mount>& outside() const noexcept { return mounts_; }
  std::vector<std::string> targets() const;

  /// In the container: mounts what comes from other stages, and the secrets. They are copied from file to file, never
  /// read into this process's memory, but for those that are wanted as variables: returns those, "NAME=VALUE".
  std::vector<std::string> mount_inside(const runtime::BuiltContainer& built) const;

 private:
  void plan(const containerfile::BindMount& bind, std::size_t number);
  void plan(const containerfile::CacheMount& cache, std::size_t number);
  void plan(const containerfile::TmpfsMount& tmpfs, std::size_t number);
  void plan(const containerfile::SecretMount& secret, std::size_t number);
  std::string absolute(const std::string& target) const;
  void mount_stage(const containerfile::BindMount& bind, const Fd& stage, const Fd& files, std::size_t number) const;
  void mount_secret(const containerfile::SecretMount& secret, const Fd& files, std::size_t number) const;

  const RunStep& step_;
  const BuildPlaces& places_;
  const std::filesystem::path directory_;
  std::vector<runtime::Mount> mounts_;
  std::vector<Fd> in_use_;  // caches, locked
};

}  // namespace mlctr::build
