// The arguments of the plugin's line in plugstack.conf.
#pragma once

#include "spank/failure.hpp"

namespace mlctr::spank {

enum class Scope { global, job };
enum class Entrypoint { left_alone, executed };
enum class BatchSupport { off, on };

/// mlctr=PATH scope=global|job (or container_scope=) execute_entrypoint=0|1 sbatch_support=0|1. pyxis's runtime_path=,
/// importer=, use_enroot_load= and use_squashfuse= are taken and have no meaning here, so that its line can stay.
struct PluginSettings {
  const char* mlctr = "/usr/bin/mlctr";  ///< absolute
  Scope scope = Scope::global;
  Entrypoint entrypoint = Entrypoint::left_alone;
  BatchSupport sbatch_support = BatchSupport::on;
  const char* ignored = nullptr;  ///< the first of pyxis's arguments without a meaning
  Failure failure;                ///< an argument that can't be understood: what asks for a container must fail
};

/// Points into `words`.
PluginSettings read_settings(int count, char** words);

}  // namespace mlctr::spank
