// What goes to standard output (results) and standard error (talk). Progress and messages never mix into a result.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "cli/table.hpp"
#include "store/store.hpp"

namespace mlctr::cli {

/// Whoever read our output has closed it (`mlctr images | head -1`): nothing is wrong, and nothing more is to say.
struct ReaderGone {};

/// To standard output. Throws SysError where that fails: a result that is not whole must not look like success.
void print(std::string_view text);

/// Made to fit where standard output is a terminal, whole elsewhere.
void print(const Table& table);

/// Indented, with a newline; only ASCII (what else there is comes as \u escapes), so that no string of an image's can
/// control a terminal or make a line read differently, in whatever shows the JSON in the end.
void print_json(const nlohmann::ordered_json& json);

/// "mlctr: …" on standard error, in one line.
void say(std::string_view text);

/// A warning for each entry of a store that could not be read.
void warn_of(const std::vector<BrokenEntry>& broken);

enum class Format { text, json };

/// What -o FILE and its like mean by "-".
inline constexpr std::string_view k_standard_output = "-";

/// Throws UsageError where standard output is a terminal, which an image's bytes would only garble. `command` is an
/// example of what to type instead.
void refuse_terminal(std::string_view command);

/// Writes the bytes of an image to standard output; returns how many. Throws ReaderGone, Cancelled, SysError.
std::uint64_t print_image(const std::filesystem::path& squashfs, std::stop_token stop);

/// For options: the reason why an empty file name is none, empty for others.
std::string check_file_name(const std::string& name);

}  // namespace mlctr::cli
