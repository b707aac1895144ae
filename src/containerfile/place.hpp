// Where something stands in a Containerfile, and what is wrong or odd there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.hpp"

namespace mlctr::containerfile {

struct Place {
  std::uint32_t line = 0;    ///< from 1
  std::uint32_t column = 0;  ///< in bytes, from 1

  bool operator==(const Place&) const = default;
};

/// A piece of a file. `text` is as written (quotes, escapes and variables in it) until it is evaluated: then its value.
struct Word {
  std::string text;
  Place place;

  bool operator==(const Word&) const = default;
};

/// "FILE:LINE:COLUMN: what is wrong", and a hint.
class SyntaxError : public Error {
 public:
  SyntaxError(std::string_view filename, Place place, std::string_view what, std::string hint = {});

  Place place() const noexcept { return place_; }

 private:
  Place place_;
};

/// What a build does all the same, but hardly as its author meant it.
struct Warning {
  Place place;
  std::string rule;  ///< BuildKit's name of the check ("UndefinedVar"), or one of ours: "SingleId"
  std::string message;

  bool operator==(const Warning&) const = default;
};

/// "FILE:LINE:COLUMN: message (rule)"
std::string to_string(const Warning& warning, std::string_view filename);

}  // namespace mlctr::containerfile
