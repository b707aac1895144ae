// What a build reads before it begins: the Containerfile, the context, and which images they need.
#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "build/build_plan.hpp"
#include "build/source_tree.hpp"
#include "image/platform.hpp"

namespace mlctr {

struct BuildSourceRequest {
  std::filesystem::path directory;  ///< the context
  std::string file{};               ///< -f; "-" is standard input; empty: DIRECTORY/Containerfile or Dockerfile
  std::string target{};
  std::map<std::string, std::string> arguments{};
  Platform platform = Platform::host();
};

struct BuildSource {
  std::unique_ptr<containerfile::Containerfile> file;
  std::unique_ptr<containerfile::GlobalVariables> globals;
  build::BuildPlan plan;
  std::unique_ptr<build::SourceTree> context;
  std::vector<std::string> warnings;
};

/// Throws Error: there is no such file, or what is wrong in it.
BuildSource read_build_source(const BuildSourceRequest& request);

}  // namespace mlctr
