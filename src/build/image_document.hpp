// The configuration of an image being built: the base's, changed instruction by instruction. Format: OCI image-spec
// config.md, and what Docker adds to it.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "containerfile/instruction.hpp"
#include "image/config.hpp"
#include "image/platform.hpp"

namespace mlctr::build {

enum class LayerMade { yes, no };

class ImageDocument {
 public:
  /// Of "scratch".
  explicit ImageDocument(const Platform& platform);
  /// Of a base image; throws Error where it is broken.
  explicit ImageDocument(const std::string& config_body);

  const ImageConfig& values() const noexcept { return values_; }
  /// ONBUILD of the base, which the image itself has no more.
  std::vector<std::string> take_triggers();

  void set_environment(const std::vector<std::string>& environment);
  void set_working_directory(const std::string& path);
  void apply(const containerfile::User& user);
  void apply(const containerfile::Shell& shell);
  void apply(const containerfile::Entrypoint& entrypoint);
  void apply(const containerfile::Cmd& command);
  void apply(const containerfile::Label& label);
  void apply(const containerfile::Expose& expose);
  void apply(const containerfile::Volume& volume);
  void apply(const containerfile::StopSignal& signal);
  void apply(const containerfile::Healthcheck& check);
  void apply(const containerfile::OnBuild& trigger);
  void apply(const containerfile::Maintainer& maintainer);

  /// `created_by`: the instruction, as history shows it.
  void add_history(std::string created_by, LayerMade layer);

  /// What runs a command in shell form.
  std::vector<std::string> shell() const;

  /// Canonical bytes. `diff_ids` of all layers; `time`: seconds since 1970.
  std::string write(const std::vector<Digest>& diff_ids, std::uint32_t time) const;

 private:
  nlohmann::ordered_json& config();
  std::vector<std::string> words_of(const containerfile::CommandLine& command) const;
  void refresh();

  nlohmann::ordered_json document_;
  ImageConfig values_;
  std::vector<std::pair<std::string, LayerMade>> history_;
  bool has_own_command_ = false;
};

/// "2026-01-31T12:00:00Z"
std::string format_time(std::uint32_t seconds);
/// Of RFC 3339; absent where it is none, or before 1970.
std::optional<std::uint32_t> parse_time(const std::string& text);

}  // namespace mlctr::build
