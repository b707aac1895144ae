#include "spank/job_environment.hpp"

#include <cstdlib>
#include <cstring>
#include <string_view>

namespace mlctr::spank {
namespace {

std::string_view name_in(std::string_view variable) {
  const std::size_t equals = variable.find('=');
  return {variable.data(), equals == std::string_view::npos ? variable.size() : equals};
}

bool is_named(std::string_view name, const MappedRecords& records) {
  for (std::size_t offset = 0; offset < records.size_bytes();) {
    const MappedRecords::Record record = records.take(offset);
    if (record.kind == MLCTR_HAND_OFF_VARIABLE && record.bytes.size() > name.size() &&
        record.bytes[name.size()] == '=' && record.bytes.starts_with(name)) {
      return true;
    }
  }
  return false;
}

bool has_exactly(char* const* environment, std::string_view variable) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    if (std::strncmp(*environment, variable.data(), variable.size()) == 0 && (*environment)[variable.size()] == '\0') {
      return true;
    }
  }
  return false;
}

/// Null behind the last one.
const char* variable_at(spank_t spank, std::size_t number) {
  char* const* const environment = job_environment(spank);
  return environment == nullptr ? nullptr : environment[number];
}

struct FreeText {
  char* text;
  ~FreeText() { std::free(text); }
};

Failure set_variable(spank_t spank, std::string_view variable) {
  const FreeText copy{::strndup(variable.data(), variable.size())};
  if (copy.text == nullptr) return failed("no memory for the environment");
  char* const equals = std::strchr(copy.text, '=');
  *equals = '\0';
  const spank_err_t error = ::spank_setenv(spank, copy.text, equals + 1, 1);
  return error == ESPANK_SUCCESS ? Failure{} : failed("cannot set %s: %s", copy.text, ::spank_strerror(error));
}

}  // namespace

char** job_environment(spank_t spank) {
  char** environment = nullptr;
  return ::spank_get_item(spank, S_JOB_ENV, &environment) == ESPANK_SUCCESS ? environment : nullptr;
}

Failure replace_environment(spank_t spank, const MappedRecords& records) {
  int left = 65536;  // an unset that changes nothing must not become a loop
  for (std::size_t i = 0;;) {
    const char* const variable = variable_at(spank, i);
    if (variable == nullptr) break;
    const std::string_view name = name_in(variable);
    if (name.empty() || is_named(name, records) || left == 0) {
      ++i;
      continue;
    }
    --left;
    const FreeText surplus{::strndup(name.data(), name.size())};
    if (surplus.text == nullptr) return failed("no memory for the environment");
    if (::spank_unsetenv(spank, surplus.text) != ESPANK_SUCCESS) return failed("cannot unset %s", surplus.text);
    // Slurm has moved the rest along: the next one is here now.
  }
  for (std::size_t offset = 0; offset < records.size_bytes();) {
    const MappedRecords::Record record = records.take(offset);
    if (record.kind != MLCTR_HAND_OFF_VARIABLE) continue;
    // Most of it is the job's own; Slurm takes a 256 KiB buffer for each that it is asked to set.
    if (has_exactly(job_environment(spank), record.bytes)) continue;
    if (Failure failure = set_variable(spank, record.bytes); failure.happened()) return failure;
  }
  return {};
}

}  // namespace mlctr::spank
