// mlctr logout
#include <fmt/format.h>

#include "app/login.hpp"
#include "base/printable.hpp"
#include "cli/commands.hpp"
#include "cli/output.hpp"

namespace mlctr::cli {
namespace {

int leave(const std::string& name) {
  const std::string registry = login_name(name);
  const bool was_there = logout(registry);
  const std::string shown = printable(registry);
  say(was_there ? fmt::format("logged out of {}", shown) : fmt::format("no credential was stored for {}", shown));
  return 0;
}

}  // namespace

void add_logout(CLI::App& program, Action& chosen) {
  auto registry = std::make_shared<std::string>("docker.io");
  CLI::App* command = program.add_subcommand("logout", "Forget the password for a registry");
  command->group(k_registry_group);
  command->add_option("REGISTRY", *registry, "The registry (default: docker.io)")->type_name("");
  command->final_callback([registry, &chosen] { chosen = [registry] { return leave(*registry); }; });
}

}  // namespace mlctr::cli
