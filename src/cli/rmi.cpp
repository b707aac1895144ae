// mlctr rmi
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "app/remove_image.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/figures.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

struct RemoveImageOptions {
  std::vector<std::string> images;
  Format format = Format::text;
};

// Their file is the image's, under a name of their own.
std::string describe_users(const std::vector<std::string>& containers) {
  if (containers.empty()) return "";
  const bool is_one = containers.size() == 1;
  return fmt::format("; the container{} {} keep{} its file: `mlctr rm {}` removes {} too", is_one ? "" : "s",
                     fmt::join(containers, ", "), is_one ? "s" : "", fmt::join(containers, " "),
                     is_one ? "it" : "them");
}

std::string describe(const std::string& name, const RemovedImage& removed) {
  if (removed.image == RemovedImage::Image::removed) {
    const std::string cached = removed.cached_bytes == 0
                                   ? ""
                                   : fmt::format("; {} of layers stay cached: `mlctr gc --max-size 0` frees all such",
                                                 format_bytes(removed.cached_bytes));
    return fmt::format("removed {} ({} freed{}{})\n", printable(name, 4096), format_bytes(removed.freed_bytes), cached,
                       describe_users(removed.containers));
  }
  std::string others;
  for (const std::string& reference : removed.remaining_references) {
    others += (others.empty() ? "" : ", ") + printable(reference, 4096);
  }
  return fmt::format("removed the name {}; the image stays for {}\n", printable(name, 4096), others);
}

nlohmann::ordered_json to_json(const RemovedImage& removed) {
  return {{"digest", removed.manifest_digest.to_string()},
          {"references", removed.removed_references},
          {"image_removed", removed.image == RemovedImage::Image::removed},
          {"remaining_references", removed.remaining_references},
          {"containers", removed.containers},
          {"freed", removed.freed_bytes},
          {"cached", removed.cached_bytes}};
}

// Removes what it can: one bad name among many must not save the others. The last failure is thrown, those before are
// said.
void remove_all(const RemoveImageOptions& options, std::stop_token stop) {
  const Configuration configuration = load_configuration();
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  std::exception_ptr failure;
  for (const std::string& name : options.images) {
    try {
      const RemovedImage removed = remove_image(configuration, name, stop);
      if (options.format == Format::json)
        json.push_back(to_json(removed));
      else
        print(describe(name, removed));
    } catch (const Cancelled&) {
      throw;
    } catch (const Error& error) {
      if (failure)
        say(fmt::format("error: {}", printable(error.message(), 8192)));
      else
        failure = std::current_exception();
    }
  }
  if (options.format == Format::json) print_json(json);
  if (failure) std::rethrow_exception(failure);
}

}  // namespace

void add_rmi(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<RemoveImageOptions>();
  CLI::App* command = program.add_subcommand("rmi", "Remove images");
  command->group(k_images_group);
  command->add_option("IMAGE", options->images, "References, digests or the start of one")->type_name("")->required();
  command->add_flag_callback(
      "--json", [options] { options->format = Format::json; }, "An array of what was removed");
  command->footer(
      "An image goes with its last name. Its layers stay cached until gc, so that a new version needs only what "
      "changed.\n"
      "--json: digest, references, image_removed, remaining_references, containers (that keep its file), freed and\n"
      "        cached (bytes; these of its layers stay in the layer cache)\n");
  command->final_callback([options, &chosen] {
    chosen = [options] {
      run_stoppable([&](std::stop_token stop) { remove_all(*options, std::move(stop)); }, "");
      return 0;
    };
  });
}

}  // namespace mlctr::cli
