// An image of the stores that someone may have meant who mistyped its name.
#pragma once

#include <string>
#include <string_view>

#include "app/configuration.hpp"

namespace mlctr {

/// Whether one slip of a finger lies between the two: a character too much, missing or wrong, or two swapped. Not where
/// only digits differ: that is another version.
bool is_one_slip(std::string_view a, std::string_view b);

/// The image in the stores whose name one slip turns into `text`, as short as it can be typed; empty where none is.
std::string similar_image(const Configuration& configuration, std::string_view text);

}  // namespace mlctr
