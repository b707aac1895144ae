// What of the images and containers here someone may have meant who mistyped a name.
#pragma once

#include <string>
#include <string_view>

#include "app/configuration.hpp"

namespace mlctr {

/// counted: another digit is a slip like any other. versions: where only digits are more, less or others, it is none.
enum class Digits { counted, versions };

/// Whether one slip of a finger lies between the two: a character too much, missing or wrong, or two swapped.
bool is_one_slip(std::string_view a, std::string_view b, Digits digits);

/// The image in the stores whose name one slip turns into `text`, as short as it can be typed; empty where none is.
std::string similar_image(const Configuration& configuration, std::string_view text);

/// The container whose name one slip turns into `text`; empty where there is none.
std::string similar_container(const Configuration& configuration, std::string_view text);

}  // namespace mlctr
