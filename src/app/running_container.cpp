#include "app/running_container.hpp"

#include <nlohmann/json.hpp>

#include "base/error.hpp"
#include "runtime/container_socket.hpp"

namespace mlctr {
namespace {

std::string to_latin1_json(std::string_view bytes) {
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) {
      text += c;
    } else {
      text += static_cast<char>(0xc0 | (byte >> 6));
      text += static_cast<char>(0x80 | (byte & 0x3f));
    }
  }
  return text;
}

// The inverse; a code point that no byte has can't come from us.
std::string from_latin1_json(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto lead = static_cast<unsigned char>(text[i]);
    if (lead < 0x80) {
      bytes += text[i];
    } else if ((lead == 0xc2 || lead == 0xc3) && i + 1 < text.size()) {
      bytes += static_cast<char>((lead << 6) | (static_cast<unsigned char>(text[++i]) & 0x3f));
    } else {
      throw Error("a container's description holds what no mlctr writes");
    }
  }
  return bytes;
}

std::vector<std::string> each(const std::vector<std::string>& texts, std::string (*convert)(std::string_view)) {
  std::vector<std::string> converted;
  for (const std::string& text : texts) converted.push_back(convert(text));
  return converted;
}

std::vector<std::string> texts_at(const nlohmann::json& json, const char* key) {
  std::vector<std::string> texts;
  for (const auto& text : json.at(key)) texts.push_back(from_latin1_json(text.get_ref<const std::string&>()));
  return texts;
}

std::string text_at(const nlohmann::json& json, const char* key) {
  return from_latin1_json(json.at(key).get_ref<const std::string&>());
}

nlohmann::json configured_json(const std::vector<runtime::EnvironmentEdit>& configured) {
  nlohmann::json edits = nlohmann::json::array();
  for (const auto& edit : configured) {
    edits.push_back({{"name", to_latin1_json(edit.name)}, {"origin", to_latin1_json(edit.origin)}});
    if (edit.value) edits.back()["value"] = to_latin1_json(*edit.value);
  }
  return edits;
}

std::vector<runtime::EnvironmentEdit> configured_at(const nlohmann::json& json, const char* key) {
  std::vector<runtime::EnvironmentEdit> configured;
  for (const auto& edit : json.at(key)) {
    configured.push_back({text_at(edit, "name"), std::nullopt, text_at(edit, "origin")});
    if (edit.contains("value")) configured.back().value = text_at(edit, "value");
  }
  return configured;
}

nlohmann::json renumbered_json(const std::vector<runtime::Renumbering>& renumbered) {
  nlohmann::json list = nlohmann::json::array();
  for (const auto& one : renumbered) list.push_back({one.variable, one.numbers, one.origin});
  return list;
}

// A container of an mlctr from before GPUs has none.
std::vector<runtime::Renumbering> renumbered_at(const nlohmann::json& json) {
  std::vector<runtime::Renumbering> renumbered;
  for (const auto& one : json.value("renumbered", nlohmann::json::array())) {
    renumbered.push_back({one.at(0), one.at(1), one.at(2)});
  }
  return renumbered;
}

}  // namespace

std::string describe_configured(const std::vector<runtime::EnvironmentEdit>& configured) {
  return nlohmann::json{{"configured", configured_json(configured)}}.dump();
}

std::string to_description(const RunningContainer& container) {
  return nlohmann::json{{"name", container.name},
                        {"image", to_latin1_json(container.image)},
                        {"command", each(container.command, to_latin1_json)},
                        {"started_at", container.started_at},
                        {"step", container.step},
                        {"remapped", container.remap == runtime::Remap::root},
                        {"home", container.home == runtime::HomeMount::yes},
                        {"image_environment", each(container.image_environment, to_latin1_json)},
                        {"configured", configured_json(container.configured)},
                        {"environment", each(container.environment, to_latin1_json)},
                        {"renumbered", renumbered_json(container.renumbered)},
                        {"image_directory", to_latin1_json(container.image_directory)},
                        {"working_directory", to_latin1_json(container.working_directory)}}
      .dump();
}

RunningContainer parse_description(std::string_view description) {
  try {
    const auto json = nlohmann::json::parse(description);
    return {.name = json.at("name"),
            .image = text_at(json, "image"),
            .command = texts_at(json, "command"),
            .started_at = json.at("started_at"),
            .step = json.value("step", ""),
            .remap = json.at("remapped").get<bool>() ? runtime::Remap::root : runtime::Remap::none,
            .home = json.at("home").get<bool>() ? runtime::HomeMount::yes : runtime::HomeMount::no,
            .image_environment = texts_at(json, "image_environment"),
            .configured = configured_at(json, "configured"),
            .environment = texts_at(json, "environment"),
            .renumbered = renumbered_at(json),
            .image_directory = text_at(json, "image_directory"),
            .working_directory = text_at(json, "working_directory"),
            .mount_namespace = json.value("mount_namespace", ""),
            .pids = json.value("pids", std::vector<pid_t>{}),
            .first_program = json.value("first_has_ended", false) ? RunningContainer::FirstProgram::ended
                                                                  : RunningContainer::FirstProgram::runs};
  } catch (const nlohmann::json::exception&) {
    throw Error("a container's description is not one: it may be of another version of mlctr");
  }
}

std::optional<RunningContainer> look_at_running(const RuntimeDirectory& directory, const std::string& socket) {
  const auto answer = runtime::ask_container(directory.sockets, socket, runtime::k_describe);
  return answer ? std::optional(parse_description(answer->text)) : std::nullopt;
}

}  // namespace mlctr
