// "Name: value" lines in blocks that an empty line ends: Debian's control files, Python's metadata, apk's database.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace mlctr::packages {

/// Of a field that comes twice, the first one. Lines that go on from the one before are left out.
using Stanza = std::map<std::string, std::string, std::less<>>;

/// Takes the next block off `text`; absent at its end.
std::optional<Stanza> take_stanza(std::string_view& text);

/// Empty where there is none.
std::string field(const Stanza& stanza, std::string_view name);

}  // namespace mlctr::packages
