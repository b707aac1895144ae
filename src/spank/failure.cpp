#include "spank/failure.hpp"

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace mlctr::spank {
namespace {

Failure formatted(const char* format, std::va_list arguments) {
  Failure failure;
  std::vsnprintf(failure.text.data(), failure.text.size(), format, arguments);
  for (char& c : failure.text) {
    if (c != '\0' && (static_cast<unsigned char>(c) < ' ' || c == '\x7f')) c = '?';
  }
  return failure;
}

}  // namespace

Failure failed(const char* format, ...) {
  std::va_list arguments;
  va_start(arguments, format);
  const Failure failure = formatted(format, arguments);
  va_end(arguments);
  return failure;
}

Failure failed_by_errno(const char* format, ...) {
  const int cause = errno;
  std::va_list arguments;
  va_start(arguments, format);
  const Failure action = formatted(format, arguments);
  va_end(arguments);
  return failed("%s: %s", action.text.data(), std::strerror(cause));
}

}  // namespace mlctr::spank
