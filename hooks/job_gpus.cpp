#include "hooks/job_gpus.hpp"

#include "hooks/list_words.hpp"
#include "hooks/whole_number.hpp"

namespace mlctr::hooks {
namespace {

constexpr unsigned k_most_gpus = 1024;

// "0,2-4"
std::optional<std::vector<unsigned>> numbers_in(std::string_view text) {
  std::vector<unsigned> numbers;
  for (const std::string_view word : list_words(text)) {
    const std::size_t dash = word.find('-');
    const auto first = whole_number(word.substr(0, dash));
    const auto last = dash == word.npos ? first : whole_number(word.substr(dash + 1));
    if (!first || !last || *last < *first || *last >= k_most_gpus) return std::nullopt;
    for (unsigned number = *first; number <= *last; ++number) numbers.push_back(number);
  }
  return numbers;
}

}  // namespace

std::optional<std::vector<unsigned>> gpus_of_step(const runtime::Environment& job) {
  for (const char* name : {"SLURM_STEP_GPUS", "SLURM_JOB_GPUS"}) {
    if (!job.has(name)) continue;
    return numbers_in(job.value(name)).value_or(std::vector<unsigned>{});
  }
  return std::nullopt;
}

}  // namespace mlctr::hooks
