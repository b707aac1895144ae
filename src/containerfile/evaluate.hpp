// What the words of a Containerfile are worth: the scopes of ARG and ENV (BuildKit's reference: "Scope", "Using ARG
// variables", "Predefined ARGs", "Automatic platform ARGs in the global scope").
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "containerfile/containerfile.hpp"
#include "image/platform.hpp"

namespace mlctr::containerfile {

/// What the caller of a build says.
struct BuildArguments {
  std::map<std::string, std::string> given;  ///< --build-arg NAME=VALUE
  Platform build_platform;                   ///< of this machine
  Platform target_platform;
  std::string target;  ///< --target; empty: the last stage
};

struct StageBase {
  std::string reference;             ///< "scratch", a stage's name or an image
  std::optional<Platform> platform;  ///< of FROM --platform
};

/// The ARGs before the first FROM, and those that every build has.
class GlobalVariables {
 public:
  /// Throws SyntaxError. `file` must outlive it.
  GlobalVariables(const Containerfile& file, BuildArguments arguments);

  StageBase base_of(const Stage& stage);

  const Containerfile& file() const noexcept { return *file_; }
  const std::map<std::string, std::string>& given() const noexcept { return arguments_.given; }
  const std::map<std::string, std::string>& values() const noexcept { return values_; }
  const std::vector<Warning>& warnings() const noexcept { return warnings_; }

 private:
  std::string expanded(const Word& word);

  const Containerfile* file_;
  BuildArguments arguments_;
  std::map<std::string, std::string> values_;
  std::vector<Warning> warnings_;
};

/// --build-arg names that no ARG of `file` declares and that are not predefined: likely mistyped. Sorted.
std::vector<std::string> undeclared_arguments(const Containerfile& file, const BuildArguments& arguments);

/// HTTP_PROXY and its kin, in either case: RUN has them when they are given, declared or not.
bool is_proxy_variable(std::string_view name);

/// The variables of one stage, from its base's environment on. A stage built FROM an earlier stage starts as a copy of
/// what that one ended as (`continued`).
class StageVariables {
 public:
  /// `environment`: "NAME=VALUE" of the base image's configuration. `globals` must outlive it.
  StageVariables(const GlobalVariables& globals, const std::vector<std::string>& environment);

  /// Of a stage that begins where this one is now: without its warnings.
  StageVariables continued() const;

  /// The instruction with every word's value; ENV and ARG take effect. Throws SyntaxError.
  Instruction evaluate(const Instruction& instruction);

  /// For the image's configuration: ENV only, "NAME=VALUE" in order.
  const std::vector<std::string>& environment() const noexcept { return environment_; }

  /// For RUN: ENV, ARG and the proxies given, "NAME=VALUE", sorted. PATH is there only if somebody set it.
  std::vector<std::string> run_environment() const;

  /// ARGs declared so far and their values now, in order of declaration: what RUN's cache key and history
  /// ("|1 A=b /bin/sh -c …") have. The proxies of `given` are in neither.
  std::vector<std::pair<std::string, std::string>> arguments() const;

  const std::vector<Warning>& warnings() const noexcept { return warnings_; }

 private:
  class Evaluation;

  const GlobalVariables* globals_;
  std::vector<std::string> environment_;
  std::map<std::string, std::string> values_;  ///< ENV and ARG: whichever came last
  std::vector<std::string> declared_;          ///< ARG names, in order, each once
  std::vector<Warning> warnings_;
};

}  // namespace mlctr::containerfile
