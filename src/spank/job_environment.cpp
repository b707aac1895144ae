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
    if (record.kind == MLCTR_HAND_OFF_VARIABLE && name_in(record.bytes) == name) return true;
  }
  return false;
}

bool has_exactly(char* const* environment, std::string_view variable) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    if (variable == *environment) return true;
  }
  return false;
}

struct FreeText {
  char* text;
  ~FreeText() { std::free(text); }
};

/// The first that the records don't have; the caller frees it. Null: none.
char* find_surplus(char* const* environment, const MappedRecords& records) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    const std::string_view name = name_in(*environment);
    if (!name.empty() && !is_named(name, records)) return ::strndup(name.data(), name.size());
  }
  return nullptr;
}

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
  // Anew after each: Slurm moves the rest along, and an unset that changes nothing must not become a loop.
  for (int left = 65536; left > 0; --left) {
    const FreeText surplus{find_surplus(job_environment(spank), records)};
    if (surplus.text == nullptr) break;
    if (::spank_unsetenv(spank, surplus.text) != ESPANK_SUCCESS) return failed("cannot unset %s", surplus.text);
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
