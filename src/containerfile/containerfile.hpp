// A Containerfile (Dockerfile) as a value. Format: BuildKit's Dockerfile reference, and where that is silent what its
// parser does (moby/buildkit frontend/dockerfile/parser).
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "containerfile/instruction.hpp"

namespace mlctr::containerfile {

inline constexpr std::size_t k_max_file_bytes = 4u << 20;

struct Stage {
  Word base;                     ///< as written: "python:${VERSION}", "scratch", an earlier stage's name
  std::string name;              ///< lower case; empty where it has none
  std::optional<Word> platform;  ///< --platform, as written
  std::string text;              ///< "FROM python AS build"
  Place place;
  std::vector<Instruction> instructions;
};

struct Containerfile {
  std::string filename;  ///< for messages only
  std::string syntax;    ///< of "# syntax=", empty where there is none; nothing is fetched for it
  std::string checks;    ///< of "# check="
  char escape = '\\';
  std::vector<Instruction> global_arguments;  ///< ARGs before the first FROM
  std::vector<Stage> stages;                  ///< one at least
  std::vector<Warning> warnings;
};

/// Throws SyntaxError for the first thing that is wrong.
Containerfile parse(std::string_view text, std::string filename);

/// An ONBUILD instruction of a base image. It gets the place of the FROM that names that image; for its escapes it has
/// "\\", as BuildKit has. Throws SyntaxError.
Instruction parse_trigger(std::string_view expression, std::string_view filename, Place place);

/// Index of the stage that `name` means (its name in any case, or its number) among the first `count`; none: an image.
std::optional<std::size_t> find_stage(const Containerfile& file, std::string_view name, std::size_t count);

/// The stage to build: `target`, or the last one. Throws Error with a hint where there is none of that name.
std::size_t target_stage(const Containerfile& file, std::string_view target);

}  // namespace mlctr::containerfile
