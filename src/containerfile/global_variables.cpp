#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <set>

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "containerfile/evaluate.hpp"
#include "containerfile/expand.hpp"

namespace mlctr::containerfile {
namespace {

void add_platform(std::map<std::string, std::string>& values, const std::string& prefix, const Platform& platform) {
  values[prefix + "PLATFORM"] = platform.to_string();
  values[prefix + "OS"] = platform.os;
  values[prefix + "OSVERSION"] = platform.os_version;
  values[prefix + "ARCH"] = platform.architecture;
  values[prefix + "VARIANT"] = platform.variant;
}

std::map<std::string, std::string> automatic_values(const Containerfile& file, const BuildArguments& arguments) {
  std::map<std::string, std::string> values;
  add_platform(values, "BUILD", arguments.build_platform);
  add_platform(values, "TARGET", arguments.target_platform);
  const std::string& target = arguments.target.empty() ? file.stages.back().name : arguments.target;
  values["TARGETSTAGE"] = target.empty() ? "default" : target;
  return values;
}

void add_names(std::set<std::string>& names, const Instruction& instruction) {
  const Arg* arg = std::get_if<Arg>(&instruction.body);
  if (arg == nullptr) return;
  for (const Declaration& declaration : arg->declarations) names.insert(declaration.name.text);
}

std::set<std::string> names_in_stages(const Containerfile& file) {
  std::set<std::string> names;
  for (const Stage& stage : file.stages) {
    for (const Instruction& instruction : stage.instructions) add_names(names, instruction);
  }
  return names;
}

}  // namespace

bool is_proxy_variable(std::string_view name) {
  constexpr std::array<std::string_view, 5> k_proxies{"http_proxy", "https_proxy", "ftp_proxy", "no_proxy",
                                                      "all_proxy"};
  return std::find(k_proxies.begin(), k_proxies.end(), lowered(name)) != k_proxies.end();
}

GlobalVariables::GlobalVariables(const Containerfile& file, BuildArguments arguments)
    : file_(&file), arguments_(std::move(arguments)), values_(automatic_values(file, arguments_)) {
  for (auto& [name, value] : values_) {
    if (const auto given = arguments_.given.find(name); given != arguments_.given.end()) value = given->second;
  }
  for (const Instruction& instruction : file.global_arguments) {
    for (const Declaration& declaration : std::get<Arg>(instruction.body).declarations) {
      const auto given = arguments_.given.find(declaration.name.text);
      if (given != arguments_.given.end()) {
        values_[declaration.name.text] = given->second;
      } else if (declaration.value) {
        values_[declaration.name.text] = expanded(*declaration.value);
      }
    }
  }
}

std::string GlobalVariables::expanded(const Word& word) {
  const Expanded expanded = expand(word, {.escape = file_->escape}, values_, file_->filename);
  for (const Word& unset : expanded.unset) {
    std::string message = unset_message(unset.text, values_);
    if (names_in_stages(*file_).contains(unset.text)) message += "; FROM sees only ARGs before the first FROM";
    warnings_.push_back({unset.place, "UndefinedArgInFrom", std::move(message)});
  }
  return expanded.value;
}

StageBase GlobalVariables::base_of(const Stage& stage) {
  const std::size_t warned = warnings_.size();
  const auto why = [&](const char* otherwise) {
    return warnings_.size() > warned ? warnings_[warned].message : std::string(otherwise);
  };
  StageBase base{expanded(stage.base), std::nullopt};
  if (base.reference.empty()) {
    throw SyntaxError(file_->filename, stage.base.place,
                      fmt::format("the image of FROM {} is empty", printable(stage.base.text)),
                      why("give the ARG a value, here or by --build-arg"));
  }
  if (!stage.platform) return base;
  const std::string platform = expanded(*stage.platform);
  try {
    base.platform = Platform::parse(platform);
  } catch (const Error& error) {
    throw SyntaxError(file_->filename, stage.platform->place, error.message(), why(error.hint().c_str()));
  }
  return base;
}

std::vector<std::string> undeclared_arguments(const Containerfile& file, const BuildArguments& arguments) {
  std::set<std::string> names = names_in_stages(file);
  for (const Instruction& instruction : file.global_arguments) add_names(names, instruction);
  const std::map<std::string, std::string> automatic = automatic_values(file, arguments);
  std::vector<std::string> undeclared;
  for (const auto& [name, value] : arguments.given) {
    const bool is_known = names.contains(name) || automatic.contains(name) || is_proxy_variable(name) ||
                          name == "SOURCE_DATE_EPOCH" || name.starts_with("BUILDKIT_");
    if (!is_known) undeclared.push_back(name);
  }
  return undeclared;
}

}  // namespace mlctr::containerfile
