#include "cli/import_image.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <filesystem>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/figures.hpp"
#include "cli/find_or_pull.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

// Where the step's waiting nodes meet: who makes the directory speaks for all, and removes it.
class WaitingRoom {
 public:
  WaitingRoom(const Configuration& configuration, const SlurmStep& step)
      : place_(configuration.store / "tmp" / fmt::format("waiting-{}.{}.{}", step.job, step.step, step.restart)) {}
  ~WaitingRoom() {
    if (is_ours_) ::rmdir(place_.c_str());
  }
  WaitingRoom(const WaitingRoom&) = delete;
  WaitingRoom& operator=(const WaitingRoom&) = delete;

  bool try_speak() {
    is_ours_ = is_ours_ || ::mkdir(place_.c_str(), 0700) == 0;
    return is_ours_;
  }

 private:
  std::filesystem::path place_;
  bool is_ours_ = false;
};

std::string title(const SlurmStep& step, std::string_view doing, const std::string& image) {
  const std::string node = step.node.empty() ? "" : step.node + ": ";
  return fmt::format("{}{} docker image: {}", node, doing, printable(image, 4096));
}

BaseImage import(const Configuration& configuration, const SlurmStep& step, const std::string& image,
                 Verbosity verbosity) {
  const auto began = std::chrono::steady_clock::now();
  WaitingRoom room(configuration, step);
  std::atomic<bool> is_hushed = false;
  const auto tell_of_wait = [&](const std::string& host) -> std::string {
    is_hushed = true;
    return room.try_speak() ? fmt::format("waiting for {}", host.empty() ? "another node" : host) : "";
  };
  const auto tell_of_end = [&](const PullResult& result) {
    if (result.was_present || verbosity == Verbosity::quiet) return;
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
    say(fmt::format("{} in {}", title(step, "imported", image), format_duration(took)));
  };
  return find_or_pull_image(configuration, image,
                            {.verbosity = verbosity,
                             .action = "mlctr: " + title(step, "importing", image),
                             .tell_of_wait = tell_of_wait,
                             .is_hushed = &is_hushed,
                             .tell_of_end = tell_of_end});
}

}  // namespace

BaseImage import_image(const Configuration& configuration, const SlurmStep& step, const std::string& image,
                       Verbosity verbosity) try {
  return import(configuration, step, image, verbosity);
} catch (const StoppedBySignal&) {
  throw;
} catch (Error& error) {
  error.add_context(fmt::format("failed to import docker image: {}", printable(image, 4096)));
  throw;
}

}  // namespace mlctr::cli
