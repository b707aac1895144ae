// The commands, one a file: each adds itself to the program and, when the command line names it, becomes the chosen
// action.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>

namespace mlctr::cli {

/// Does what the command line asks; returns the exit code. Throws Error for all that goes wrong.
using Action = std::function<int()>;

inline constexpr int k_own_failure = 125;  // docker's: never a code that a container's program would give

void add_pull(CLI::App& program, Action& chosen);
void add_build(CLI::App& program, Action& chosen);
void add_run(CLI::App& program, Action& chosen);
void add_exec(CLI::App& program, Action& chosen);
void add_ps(CLI::App& program, Action& chosen);
void add_create(CLI::App& program, Action& chosen);
void add_rm(CLI::App& program, Action& chosen);
void add_srun(CLI::App& program, Action& chosen);
void add_save(CLI::App& program, Action& chosen);
void add_commit(CLI::App& program, Action& chosen);
void add_images(CLI::App& program, Action& chosen);
void add_inspect(CLI::App& program, Action& chosen);
void add_diff(CLI::App& program, Action& chosen);
void add_history(CLI::App& program, Action& chosen);
void add_lock(CLI::App& program, Action& chosen);
void add_export(CLI::App& program, Action& chosen);
void add_rmi(CLI::App& program, Action& chosen);
void add_du(CLI::App& program, Action& chosen);
void add_gc(CLI::App& program, Action& chosen);
void add_login(CLI::App& program, Action& chosen);
void add_logout(CLI::App& program, Action& chosen);
void add_gpus(CLI::App& program, Action& chosen);
void add_doctor(CLI::App& program, Action& chosen);
void add_config(CLI::App& program, Action& chosen);
void add_completion(CLI::App& program, Action& chosen);
void add_help(CLI::App& program, Action& chosen);
void add_step(CLI::App& program, Action& chosen);
void add_version(CLI::App& program, Action& chosen);

/// `mlctr srun WORDS...`, which are Slurm's to parse.
Action make_srun_action(std::vector<std::string> words);

/// Groups of the command list, in its order.
inline constexpr const char* k_images_group = "Images";
inline constexpr const char* k_containers_group = "Containers";
inline constexpr const char* k_store_group = "Store";
inline constexpr const char* k_registry_group = "Registries";
inline constexpr const char* k_mlctr_group = "mlctr itself";

}  // namespace mlctr::cli
