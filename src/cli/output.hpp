// What goes to standard output (results) and standard error (talk). Progress and messages never mix into a result.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "store/store.hpp"

namespace mlctr::cli {

/// Whoever read our output has closed it (`mlctr images | head -1`): nothing is wrong, and nothing more is to say.
struct ReaderGone {};

/// To standard output. Throws SysError where that fails: a result that is not whole must not look like success.
void print(std::string_view text);

/// Indented, with a newline; on a terminal only ASCII, so that no string of an image's can control it.
void print_json(const nlohmann::ordered_json& json);

/// "mlctr: …" on standard error, in one line.
void say(std::string_view text);

/// A warning for each entry of a store that could not be read.
void warn_of(const std::vector<BrokenEntry>& broken);

enum class Format { text, json };

/// A word as a shell takes it: quoted where it has to be.
std::string shell_word(std::string_view text);

}  // namespace mlctr::cli
