#include "containerfile/place.hpp"

#include <fmt/format.h>

#include "base/printable.hpp"

namespace mlctr::containerfile {
namespace {

std::string located(std::string_view filename, Place place, std::string_view what) {
  return fmt::format("{}:{}:{}: {}", printable(filename), place.line, place.column, what);
}

}  // namespace

SyntaxError::SyntaxError(std::string_view filename, Place place, std::string_view what, std::string hint)
    : Error(located(filename, place, what), std::move(hint)), place_(place) {}

std::string to_string(const Warning& warning, std::string_view filename) {
  return fmt::format("{} ({})", located(filename, warning.place, warning.message), warning.rule);
}

}  // namespace mlctr::containerfile
