#include <nlohmann/json.hpp>

#include "containerfile/letters.hpp"
#include "containerfile/split_words.hpp"
#include "image/json_value.hpp"

namespace mlctr::containerfile {
namespace {

// Where each element of an array of strings begins: `text` is known to be one.
std::vector<std::size_t> string_offsets(std::string_view text) {
  std::vector<std::size_t> offsets;
  for (std::size_t at = text.find('"'); at != std::string_view::npos; at = text.find('"', at + 1)) {
    offsets.push_back(at);
    for (++at; text[at] != '"'; ++at) {
      if (text[at] == '\\') ++at;
    }
  }
  return offsets;
}

std::optional<nlohmann::json> array_in(std::string_view text) {
  try {
    nlohmann::json value = parse_json(text, {});
    if (value.is_array()) return value;
  } catch (const Error&) {
    // Then it is text for the shell.
  }
  return std::nullopt;
}

}  // namespace

std::optional<std::vector<Word>> json_words(Slice text, std::string_view filename) {
  const std::string_view trimmed = without_leading_blanks(text.text);
  if (!trimmed.starts_with('[')) return std::nullopt;
  const auto array = array_in(trimmed);
  if (!array) return std::nullopt;
  for (const nlohmann::json& element : *array) {
    if (!element.is_string()) {
      throw SyntaxError(filename, text.part(trimmed).place(), "a JSON array here may hold only strings",
                        "put every element between double quotes");
    }
  }
  std::vector<Word> words;
  const std::vector<std::size_t> offsets = string_offsets(trimmed);
  for (std::size_t i = 0; i < array->size(); ++i) {
    words.push_back({(*array)[i].get<std::string>(), text.part(trimmed.substr(offsets.at(i))).place()});
  }
  return words;
}

}  // namespace mlctr::containerfile
