// mlctr diff
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "app/container_image.hpp"
#include "app/diff_images.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"
#include "cli/signals.hpp"

namespace mlctr::cli {
namespace {

constexpr int k_they_differ = 1;  // diff(1)'s

std::string line_of(const PackageChange& change) {
  const char sign = change.before.empty() ? '+' : change.after.empty() ? '-' : '~';
  const std::string versions = change.before.empty()  ? change.after
                               : change.after.empty() ? change.before
                                                      : change.before + " -> " + change.after;
  return fmt::format("{} {:<6} {} {}\n", sign, change.ecosystem, printable(change.name), printable(versions, 1024));
}

std::string line_of(const FileChange& change) {
  const char sign = change.kind == FileChange::Kind::added ? '+' : change.kind == FileChange::Kind::removed ? '-' : '~';
  const std::string what = fmt::format("{}", fmt::join(change.what, ", "));
  return fmt::format("{} {}{}\n", sign, printable(change.path, 4096),
                     what.empty() ? "" : fmt::format("  ({})", printable(what, 9000)));
}

std::string describe(const ImageDifference& difference) {
  std::string text;
  for (const PackageChange& change : difference.packages) text += line_of(change);
  if (!difference.packages.empty() && !difference.files.empty()) text += "\n";
  for (const FileChange& change : difference.files) text += line_of(change);
  return text;
}

nlohmann::ordered_json to_json(const ImageDifference& difference) {
  using nlohmann::ordered_json;
  const auto text_or_null = [](const std::string& text) { return text.empty() ? ordered_json() : ordered_json(text); };
  ordered_json packages = ordered_json::array();
  for (const PackageChange& change : difference.packages) {
    packages.push_back({{"ecosystem", change.ecosystem},
                        {"name", change.name},
                        {"before", text_or_null(change.before)},
                        {"after", text_or_null(change.after)}});
  }
  ordered_json files = ordered_json::array();
  for (const FileChange& change : difference.files) {
    const char* kind = change.kind == FileChange::Kind::added     ? "added"
                       : change.kind == FileChange::Kind::removed ? "removed"
                                                                  : "changed";
    files.push_back({{"path", change.path}, {"change", kind}, {"what", change.what}});
  }
  return {{"packages", packages}, {"files", files}, {"unread_databases", difference.unread_databases}};
}

int diff(const std::string& before, const std::string& after, Format format) {
  read_files_as_owner();
  ImageDifference difference;
  run_stoppable([&](std::stop_token stop) { difference = diff_images(load_configuration(), before, after, stop); }, "");
  for (const std::string& path : difference.unread_databases) {
    say(fmt::format("{} is not read: packages in it are not compared", printable(path, 4096)));
  }
  if (format == Format::json) {
    print_json(to_json(difference));
  } else {
    print(describe(difference));
  }
  return difference.is_empty() ? 0 : k_they_differ;
}

}  // namespace

void add_diff(CLI::App& program, Action& chosen) {
  auto names = std::make_shared<std::vector<std::string>>(2);
  auto format = std::make_shared<Format>(Format::text);
  CLI::App* command = program.add_subcommand("diff", "Tell which packages and files differ");
  command->group(k_images_group);
  command->add_option("A", names->at(0), "An image, a container or a .sqsh file")->type_name("")->required();
  command->add_option("B", names->at(1), "The other one")->type_name("")->required();
  command->add_flag_callback(
      "--json", [format] { *format = Format::json; }, "One object");
  command->footer(
      "+ only in B, - only in A, ~ in both but changed. Packages: Debian's, Alpine's, Python's, Conda's; then files:\n"
      "content, mode, owner, type. Times don't count. Exit code: 0 nothing differs, 1 something does.\n"
      "--json: packages [ecosystem, name, before, after], files [path, change, what], unread_databases\n");
  command->final_callback(
      [names, format, &chosen] { chosen = [names, format] { return diff((*names)[0], (*names)[1], *format); }; });
}

}  // namespace mlctr::cli
