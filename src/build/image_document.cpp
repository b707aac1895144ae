#include "build/image_document.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <limits>

#include "base/error.hpp"

namespace mlctr::build {
namespace {

using Json = nlohmann::ordered_json;

void set_or_erase(Json& object, const char* name, const std::string& value) {
  if (value.empty()) {
    object.erase(name);
  } else {
    object[name] = value;
  }
}

// A set, sorted: the same whichever came first.
void add_names(Json& object, const char* name, const std::vector<std::string>& names) {
  std::map<std::string, Json> all;
  if (object.contains(name) && object[name].is_object()) {
    for (const auto& [key, value] : object[name].items()) all[key] = value;
  }
  for (const std::string& added : names) all[added] = Json::object();
  Json sorted = Json::object();
  for (auto& [key, value] : all) sorted[key] = std::move(value);
  object[name] = std::move(sorted);
}

std::vector<std::string> texts(const std::vector<containerfile::Word>& words) {
  std::vector<std::string> found;
  for (const auto& word : words) found.push_back(word.text);
  return found;
}

std::vector<std::string> default_shell() {
  return {"/bin/sh", "-c"};
}

}  // namespace

std::string format_time(std::uint32_t seconds) {
  const std::time_t time = seconds;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday,
                     parts.tm_hour, parts.tm_min, parts.tm_sec);
}

std::optional<std::uint32_t> parse_time(const std::string& text) {
  std::tm parts{};
  const char* rest = ::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return std::nullopt;
  std::time_t time = ::timegm(&parts);
  if (*rest == '.') rest += 1 + std::string_view(rest + 1).find_first_not_of("0123456789");
  if (*rest == '+' || *rest == '-') {
    std::tm offset{};
    if (::strptime(rest + 1, "%H:%M", &offset) == nullptr) return std::nullopt;
    const std::time_t seconds = (offset.tm_hour * 60 + offset.tm_min) * 60;
    time += *rest == '-' ? seconds : -seconds;
  }
  if (time < 0 || time > std::numeric_limits<std::uint32_t>::max()) return std::nullopt;
  return static_cast<std::uint32_t>(time);
}

ImageDocument::ImageDocument(const Platform& platform) {
  document_ = {{"architecture", platform.architecture}, {"os", platform.os}};
  if (!platform.variant.empty()) document_["variant"] = platform.variant;
  document_["config"] = Json::object();
  document_["rootfs"] = {{"type", "layers"}, {"diff_ids", Json::array()}};
  document_["history"] = Json::array();
  refresh();
}

ImageDocument::ImageDocument(const std::string& config_body) {
  values_ = parse_image_config(config_body);  // all that can be wrong with it
  document_ = Json::parse(config_body);
  if (!document_.contains("config") || !document_["config"].is_object()) document_["config"] = Json::object();
  if (!document_.contains("history") || !document_["history"].is_array()) document_["history"] = Json::array();
  // Of the container that a build by Docker made the base in.
  for (const char* name : {"container", "container_config", "docker_version", "id", "parent", "throwaway", "created"}) {
    document_.erase(name);
  }
}

Json& ImageDocument::config() {
  return document_["config"];
}

void ImageDocument::refresh() {
  values_ = parse_image_config(document_.dump());
}

std::vector<std::string> ImageDocument::take_triggers() {
  std::vector<std::string> triggers;
  if (const auto found = config().find("OnBuild"); found != config().end() && found->is_array()) {
    for (const auto& trigger : *found) {
      if (trigger.is_string()) triggers.push_back(trigger);
    }
  }
  config().erase("OnBuild");
  return triggers;
}

void ImageDocument::set_environment(const std::vector<std::string>& environment) {
  config()["Env"] = environment;
  values_.environment = environment;
}

void ImageDocument::set_working_directory(const std::string& path) {
  config()["WorkingDir"] = path;
  values_.working_directory = path;
}

void ImageDocument::apply(const containerfile::User& user) {
  set_or_erase(config(), "User", user.user.text);
  values_.user = user.user.text;
}

void ImageDocument::apply(const containerfile::Shell& shell) {
  config()["Shell"] = shell.words;
  values_.shell = shell.words;
}

std::vector<std::string> ImageDocument::shell() const {
  return values_.shell.empty() ? default_shell() : values_.shell;
}

std::vector<std::string> ImageDocument::words_of(const containerfile::CommandLine& command) const {
  if (command.form == containerfile::CommandForm::exec || command.words.empty()) return command.words;
  std::vector<std::string> words = shell();
  words.insert(words.end(), command.words.begin(), command.words.end());
  return words;
}

// The base's CMD was meant for the base's ENTRYPOINT.
void ImageDocument::apply(const containerfile::Entrypoint& entrypoint) {
  config()["Entrypoint"] = words_of(entrypoint.command);
  if (!has_own_command_) config().erase("Cmd");
}

void ImageDocument::apply(const containerfile::Cmd& command) {
  config()["Cmd"] = words_of(command.command);
  has_own_command_ = true;
}

void ImageDocument::apply(const containerfile::Label& label) {
  std::map<std::string, std::string> labels = values_.labels;
  for (const auto& [name, value] : label.labels) labels[name.text] = value.text;
  config()["Labels"] = labels;
  values_.labels = std::move(labels);
}

void ImageDocument::apply(const containerfile::Expose& expose) {
  add_names(config(), "ExposedPorts", texts(expose.ports));
}

void ImageDocument::apply(const containerfile::Volume& volume) {
  add_names(config(), "Volumes", texts(volume.paths));
}

void ImageDocument::apply(const containerfile::StopSignal& signal) {
  config()["StopSignal"] = signal.signal.text;
}

void ImageDocument::apply(const containerfile::Healthcheck& check) {
  Json json = {{"Test", check.test}};
  const std::pair<const char*, std::chrono::nanoseconds> times[] = {{"Interval", check.interval},
                                                                    {"Timeout", check.timeout},
                                                                    {"StartPeriod", check.start_period},
                                                                    {"StartInterval", check.start_interval}};
  for (const auto& [name, time] : times) {
    if (time.count() != 0) json[name] = time.count();
  }
  if (check.retries != 0) json["Retries"] = check.retries;
  config()["Healthcheck"] = std::move(json);
}

void ImageDocument::apply(const containerfile::OnBuild& trigger) {
  config()["OnBuild"].push_back(trigger.expression);
}

void ImageDocument::apply(const containerfile::Maintainer& maintainer) {
  document_["author"] = maintainer.name;
}

void ImageDocument::add_history(std::string created_by, LayerMade layer) {
  history_.emplace_back(std::move(created_by), layer);
}

std::string ImageDocument::write(const std::vector<Digest>& diff_ids, std::uint32_t time) const {
  Json document = document_;
  const std::string created = format_time(time);
  document["created"] = created;
  Json list = Json::array();
  for (const Digest& diff_id : diff_ids) list.push_back(diff_id.to_string());
  document["rootfs"] = {{"type", "layers"}, {"diff_ids", std::move(list)}};
  for (const auto& [created_by, layer] : history_) {
    Json entry = {{"created", created}, {"created_by", created_by}, {"comment", "mlctr build"}};
    if (layer == LayerMade::no) entry["empty_layer"] = true;
    document["history"].push_back(std::move(entry));
  }
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace mlctr::build
