// The use case `mlctr create`: a name for an image and the changes to come, in milliseconds and without a copy.
#pragma once

#include <string>

#include "app/configuration.hpp"
#include "app/run_target.hpp"

namespace mlctr {

/// Throws UsageError where `name` can't be a container's, Error where there is one of that name.
void check_name_is_free(const Configuration& configuration, const std::string& name);

/// Throws Error where there is a container of that name already.
StoredContainer create_container(const Configuration& configuration, const BaseImage& image, const std::string& name);

/// The container of that name, made from `image` if there is none yet. Throws Error where it was made from another
/// image. `job`: the Slurm job that a new one ends with; empty: none.
StoredContainer find_or_create_container(const Configuration& configuration, const BaseImage& image,
                                         const std::string& name, const std::string& job = {});

}  // namespace mlctr
