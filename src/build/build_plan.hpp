// Which stages of a Containerfile a build needs, and which images those begin with.
#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "containerfile/containerfile.hpp"
#include "containerfile/evaluate.hpp"

namespace mlctr::build {

struct BuildPlan {
  std::size_t target = 0;
  std::set<std::size_t> stages;     ///< those that the target needs, itself included
  std::vector<std::string> images;  ///< each once, in the order of the file: "python:3.8"; never "scratch"
};

/// Throws Error. FROM's words are worth what `globals` say.
BuildPlan plan_build(const containerfile::Containerfile& file, containerfile::GlobalVariables& globals,
                     const std::string& target);

}  // namespace mlctr::build
