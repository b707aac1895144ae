#include "hooks/nvidia_requirements.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"
#include "hooks/list_words.hpp"

namespace mlctr::hooks {
namespace {

struct Condition {
  std::string name, op, value;
};

Condition parse_condition(std::string_view text, std::string_view variable) {
  const std::size_t at = text.find_first_of("=!<>");
  const std::size_t end = at == text.npos ? at : text.find_first_not_of("=!<>", at);
  if (at == 0 || end == text.npos) {
    throw Error(fmt::format("{}: '{}' is no condition", variable, printable(text)),
                "NAME OP VALUE is one: driver>=535; --env NVIDIA_DISABLE_REQUIRE=1 goes on without");
  }
  Condition condition{std::string(text.substr(0, at)), std::string(text.substr(at, end - at)),
                      std::string(text.substr(end))};
  constexpr std::array<std::string_view, 6> k_ops{"=", "!=", "<", "<=", ">", ">="};
  if (std::ranges::find(k_ops, condition.op) == k_ops.end() ||
      condition.value.find_first_of("=!<>") != std::string::npos) {
    throw Error(fmt::format("{}: '{}' is no condition", variable, printable(text)),
                "the comparisons are = != < <= > >=; --env NVIDIA_DISABLE_REQUIRE=1 goes on without");
  }
  return condition;
}

bool holds(std::strong_ordering order, std::string_view op) {
  if (op == "=") return order == 0;
  if (op == "!=") return order != 0;
  if (op == "<") return order < 0;
  if (op == "<=") return order <= 0;
  if (op == ">") return order > 0;
  return order >= 0;
}

// Versions by number, anything else as text.
bool compares(const std::string& here, const Condition& condition) {
  const auto left = DriverVersion::parse(here), right = DriverVersion::parse(condition.value);
  if (left && right) return holds(*left <=> *right, condition.op);
  const std::string a = lowered(here), b = lowered(condition.value);
  return holds(a.compare(b) <=> 0, condition.op);
}

struct Failed {
  Condition condition;
  std::string here;
};

// Absent where it holds.
std::optional<Failed> check(const Condition& condition, const DriverTraits& traits) {
  const auto compare_one = [&](const std::string& here) -> std::optional<Failed> {
    if (here.empty() || compares(here, condition)) return std::nullopt;
    return Failed{condition, here};
  };
  if (condition.name == "driver") return compare_one(traits.driver.text());
  if (condition.name == "cuda") return compare_one(traits.cuda());
  if (condition.name != "arch" && condition.name != "brand") return std::nullopt;
  for (const GpuTraits& gpu : traits.gpus()) {
    if (auto failed = compare_one(condition.name == "arch" ? gpu.architecture : gpu.brand)) return failed;
  }
  return std::nullopt;
}

std::optional<Failed> check_alternative(std::string_view alternative, std::string_view variable,
                                        const DriverTraits& traits) {
  for (const std::string_view each : list_words(alternative)) {
    if (auto failed = check(parse_condition(each, variable), traits)) return failed;
  }
  return std::nullopt;
}

constexpr const char* opposite(std::string_view op) {
  return op == ">=" ? "<" : op == ">" ? "<=" : op == "<" ? ">=" : op == "<=" ? ">" : op == "=" ? "!=" : "=";
}

std::string hint_for(const Failed& failed, const DriverTraits& traits) {
  const std::string cuda = traits.cuda();
  const std::string older =
      cuda.empty() ? "use an older image" : fmt::format("use an image for CUDA {} or older", cuda);
  const bool wants_more = failed.condition.op.starts_with('>');
  const std::string what = failed.condition.name == "arch" || failed.condition.name == "brand"
                               ? "use an image for these GPUs"
                           : wants_more ? fmt::format("update the driver or {}", older)
                                        : "use a newer image";
  return what + "; --env NVIDIA_DISABLE_REQUIRE=1 goes on all the same";
}

void check_requirement(std::string_view variable, std::string_view text, const DriverTraits& traits) {
  std::optional<Failed> first;
  const auto alternatives = list_words(text, ' ');
  for (const std::string_view alternative : alternatives) {
    auto failed = check_alternative(alternative, variable, traits);
    if (!failed) return;
    if (!first) first = std::move(failed);
  }
  if (!first) return;
  const char* title = first->condition.name == "cuda" ? "the driver's CUDA" : first->condition.name.c_str();
  throw Error(fmt::format("{} {} {} {} required by the image", title, first->here, opposite(first->condition.op),
                          printable(first->condition.value)),
              hint_for(*first, traits));
}

bool is_true(std::string_view text) {
  const std::string word = lowered(text);
  return word == "1" || word == "true" || word == "t" || word == "yes";
}

}  // namespace

void check_nvidia_requirements(const runtime::Environment& environment, const DriverTraits& traits) {
  if (is_true(environment.value("NVIDIA_DISABLE_REQUIRE"))) return;
  for (const auto& [name, variable] : environment.variables()) {
    if (name.starts_with("NVIDIA_REQUIRE_")) check_requirement(name, variable.value, traits);
  }
  const std::string_view cuda = environment.value("CUDA_VERSION");
  if (cuda.empty() || !environment.value("NVIDIA_REQUIRE_CUDA").empty()) return;
  const auto parts = list_words(cuda, '.');
  if (parts.size() < 2 || !DriverVersion::parse(parts[0]) || !DriverVersion::parse(parts[1])) return;
  check_requirement("CUDA_VERSION", fmt::format("cuda>={}.{}", parts[0], parts[1]), traits);
}

}  // namespace mlctr::hooks
