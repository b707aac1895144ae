#include "cli/find_or_pull.hpp"

#include <fmt/format.h>

#include <functional>
#include <optional>

#include "app/lock_images.hpp"
#include "app/similar_target.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/output.hpp"
#include "cli/pull_with_progress.hpp"
#include "cli/signals.hpp"
#include "cli/terminal.hpp"
#include "image/config.hpp"

namespace mlctr::cli {
namespace {

void pull(const Configuration& configuration, const std::string& text, const PullChoice& choice) {
  const PullRequest request{.source = parse_image_source(text),
                            .policy = choice.policy == "always" ? PullPolicy::always : PullPolicy::newer,
                            .tell_of_wait = choice.tell_of_wait};
  const DisplayOptions display{.action = choice.action.empty() ? "pull " + printable(text) : choice.action,
                               .verbosity = choice.verbosity,
                               .is_hushed = choice.is_hushed};
  std::optional<PullResult> result;
  run_stoppable(
      [&](std::stop_token stop) { result = pull_with_progress(request, configuration, display, std::move(stop)); },
      k_pull_goes_on);
  if (choice.tell_of_end) choice.tell_of_end(*result);
}

// `similar`: what may have been meant, or empty.
[[noreturn]] void refuse_missing(const std::string& text, const std::string& similar) {
  const std::string hint = similar.empty() ? "" : fmt::format("did you mean {}? ", printable(similar, 4096));
  throw Error(fmt::format("no image or container {} here", printable(text)),
              fmt::format("{}`mlctr pull {}` gets it", hint, printable(text)));
}

// Nothing of the registry's is kept from whoever means it: it is said once before, for ^C to come in time.
void pull_missing(const Configuration& configuration, const std::string& text, const PullChoice& choice,
                  const std::string& similar) try {
  if (!similar.empty() && has_terminal()) {
    say(fmt::format("no {} here, but {}: pulling what you typed", printable(text, 4096), printable(similar, 4096)));
  }
  pull(configuration, text, choice);
} catch (const StoppedBySignal&) {
  throw;
} catch (Error& error) {
  error.add_context(fmt::format("no container, image or file {} is here", printable(text)));
  if (!similar.empty()) {
    const std::string other = error.hint().empty() ? "" : fmt::format(" Otherwise: {}", error.hint());
    error.replace_hint(fmt::format("did you mean {}, which is here?{}", printable(similar, 4096), other));
  }
  throw;
}

[[noreturn]] void refuse_vanished(const std::string& text) {
  throw Error(fmt::format("{} was pulled, but is not in the store any more", printable(text)), "try again");
}

bool may_be_newer(const BaseImage& image, const PullChoice& choice) {
  return !image.manifest_digest.empty() && (choice.policy == "newer" || choice.policy == "always");
}

// `similar` is called where it is not here.
BaseImage find_or_pull(const Configuration& configuration, const std::string& text, const PullChoice& choice,
                       const std::function<std::string()>& similar) {
  auto found = find_base_image(configuration, text);
  if (found && !may_be_newer(*found, choice)) return std::move(*found);
  if (found) {
    pull(configuration, text, choice);
  } else if (choice.policy == "never") {
    refuse_missing(text, similar());
  } else {
    pull_missing(configuration, text, choice, similar());
  }
  if (auto pulled = find_base_image(configuration, text)) return std::move(*pulled);
  refuse_vanished(text);
}

bool is_for(const std::optional<BaseImage>& image, const Platform& platform) {
  if (!image || image->config_body.empty()) return image.has_value();
  return platform_score(platform, parse_image_config(image->config_body).platform) > 0;
}

std::string similar_target(const Configuration& configuration, const std::string& text) {
  const std::string container = similar_container(configuration, text);
  return container.empty() ? similar_image(configuration, text) : fmt::format("the container {}", container);
}

}  // namespace

RunTarget find_or_pull_target(const Configuration& configuration, const std::string& text, const PullChoice& choice) {
  if (auto found = find_run_target(configuration, text)) {
    const auto* image = std::get_if<BaseImage>(&*found);
    if (image == nullptr || !may_be_newer(*image, choice)) return std::move(*found);
  }
  return find_or_pull(configuration, text, choice, [&] { return similar_target(configuration, text); });
}

BaseImage find_or_pull_image_for(const Configuration& configuration, const std::string& text, const Platform& platform,
                                 const PullChoice& choice) {
  auto found = find_base_image(configuration, text);
  if (is_for(found, platform) && (!may_be_newer(*found, choice) || choice.policy == "never")) return std::move(*found);
  if (choice.policy == "never") refuse_missing(text, "");
  PullRequest request{.source = parse_image_source(text), .platform = platform, .policy = PullPolicy::always};
  std::string name = text;
  run_stoppable(
      [&](std::stop_token stop) {
        // By its digest: the tag goes on to be what it is for this machine.
        if (auto* reference = std::get_if<ImageReference>(&request.source); reference != nullptr && !reference->digest) {
          ProgressBoard board;
          reference->digest = manifest_on(*reference, platform, configuration, board, stop);
          request.policy = PullPolicy::missing;
          name = reference->to_string();
        }
        pull_with_progress(request, configuration, name, choice.verbosity, std::move(stop));
      },
      k_pull_goes_on);
  if (auto pulled = find_base_image(configuration, name)) return std::move(*pulled);
  refuse_vanished(text);
}

BaseImage find_or_pull_image(const Configuration& configuration, const std::string& text, const PullChoice& choice) {
  return find_or_pull(configuration, text, choice, [&] { return similar_image(configuration, text); });
}

}  // namespace mlctr::cli
