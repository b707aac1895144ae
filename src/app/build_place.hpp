// Where builds work, beside the named containers: on a node's own filesystem, as overlayfs needs.
//
//   <containers>/.build-<boot>-<random>/    one a running build; removed by the next where it was killed
//   <containers>/.build-caches/             RUN --mount=type=cache
//   <containers>/.build-failed/<id>/        what a failed step left: {step.json, image.sqsh, config.json, upper, work}
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/configuration.hpp"
#include "app/run_container.hpp"
#include "base/fd.hpp"
#include "build/stage_build.hpp"

namespace mlctr {

class BuildPlace {
 public:
  /// Removes what killed builds left.
  explicit BuildPlace(const Configuration& configuration);
  BuildPlace(const BuildPlace&) = delete;
  BuildPlace& operator=(const BuildPlace&) = delete;
  ~BuildPlace();

  const std::filesystem::path& path() const noexcept { return path_; }
  std::filesystem::path caches() const;

  /// An image under a name of our own, so that it stays whatever becomes of the store's.
  std::filesystem::path hold_image(const std::filesystem::path& squashfs);

  /// Returns the id that `mlctr run build:ID` takes. At most a few are kept.
  std::string keep_failed(const build::FailedStep& step, const Store& store);

 private:
  std::filesystem::path containers_, path_;
  Fd held_;
  std::size_t images_ = 0;
};

/// What lies beside the containers that no build needs.
struct BuildRemnant {
  enum class Kind { killed, failed, cache };
  Kind kind = Kind::killed;
  std::filesystem::path path;
};

/// Killed builds' directories; failed steps and unused caches older than `age`.
std::vector<BuildRemnant> list_build_remnants(const std::filesystem::path& containers, std::chrono::seconds age);

/// Where `text` is "build:ID". Throws Error where there is none of that id any more.
std::optional<RunSubject> find_failed_step(const Configuration& configuration, std::string_view text);

}  // namespace mlctr
