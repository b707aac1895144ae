// mlctr create
#include <fmt/format.h>

#include "app/create_container.hpp"
#include "cli/commands.hpp"
#include "cli/find_or_pull.hpp"
#include "cli/output.hpp"

namespace mlctr::cli {
namespace {

struct CreateOptions {
  std::string name, image;
  PullChoice pull;
};

int create(const CreateOptions& options) {
  const Configuration configuration = load_configuration();
  check_name_is_free(configuration, options.name);  // before a long pull
  const BaseImage image = find_or_pull_image(configuration, options.image, options.pull);
  print(create_container(configuration, image, options.name).record.name + "\n");
  return 0;
}

}  // namespace

void add_create(CLI::App& program, Action& chosen) {
  auto options = std::make_shared<CreateOptions>();
  CLI::App* command = program.add_subcommand("create", "Make a named container of an image");
  command->group(k_containers_group);
  command->add_option("--name,-n", options->name, "What to call it")->type_name("NAME")->required();
  command->add_option("IMAGE", options->image, "A reference or a .sqsh file")->type_name("")->required();
  command->add_flag_callback(
      "--quiet,-q", [options] { options->pull.verbosity = Verbosity::quiet; }, "No progress of a pull");
  command->footer(
      "Takes milliseconds and no space: the image is not copied. Prints the name.\n"
      "  mlctr create --name py38 python:3.8\n"
      "  mlctr run --remap-root py38 pip install numpy\n");
  command->final_callback([options, &chosen] { chosen = [options] { return create(*options); }; });
}

}  // namespace mlctr::cli
