// Which stages of a Containerfile a build needs, and which images those begin with.
#pragma once

#include <cstddef>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "containerfile/containerfile.hpp"
#include "containerfile/evaluate.hpp"

namespace mlctr::build {

struct PlannedImage {
  std::string name;                  ///< as the file has it: "python:3.8"
  std::optional<Platform> platform;  ///< of FROM --platform; absent: the build's

  /// What it is called among a build's images.
  std::string key() const;
  bool operator==(const PlannedImage&) const = default;
};

struct BuildPlan {
  std::size_t target = 0;
  std::set<std::size_t> stages;      ///< those that the target needs, itself included
  std::vector<PlannedImage> images;  ///< each once, in the order of the file; never "scratch"
};

/// Throws Error. FROM's words are worth what `globals` say.
BuildPlan plan_build(const containerfile::Containerfile& file, containerfile::GlobalVariables& globals,
                     const std::string& target);

}  // namespace mlctr::build
