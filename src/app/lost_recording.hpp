// Images that are no more: the user's own .sqsh that was recorded is away or has changed.
#pragma once

#include <string>
#include <string_view>

#include "app/configuration.hpp"
#include "store/recorded_file.hpp"
#include "store/store.hpp"

namespace mlctr {

/// What is the matter with the recorded file of the image that `name` leads to, and what to type; for a line that
/// begins with that name. Empty where nothing is.
std::string describe_lost_recording(const Store& store, const Digest& manifest_digest, std::string_view name);

/// Throws Error with that as its hint where `text` (a path, a digest or its first digits) means a recorded file in the
/// state `state`.
void refuse_lost_recording(const Configuration& configuration, std::string_view text, RecordedFile::State state);

}  // namespace mlctr
