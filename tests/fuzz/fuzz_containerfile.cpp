// Whatever is in a Containerfile: it is parsed and evaluated, or refused with its place; and an ignore file made of it
// answers.
#include <cstdlib>
#include <string_view>

#include "base/printable.hpp"
#include "containerfile/evaluate.hpp"
#include "containerfile/ignore_file.hpp"

using namespace mlctr;
using namespace mlctr::containerfile;

namespace {

void build(std::string_view text) {
  const Containerfile file = parse(text, "f");
  GlobalVariables globals(file, {{{"A", "given"}}, Platform::parse("amd64"), Platform::parse("arm64"), {}});
  for (const Stage& stage : file.stages) {
    globals.base_of(stage);
    StageVariables variables(globals, {"PATH=/bin"});
    for (const Instruction& instruction : stage.instructions) {
      sources_of(instruction);
      const Instruction evaluated = variables.evaluate(instruction);
      if (const OnBuild* trigger = std::get_if<OnBuild>(&evaluated.body)) {
        parse_trigger(trigger->expression, "f", stage.place);
      }
      if (const Run* run = std::get_if<Run>(&evaluated.body)) script_of(run->command);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  try {
    build(text);
  } catch (const SyntaxError& error) {
    if (error.place().line == 0 || error.place().column == 0) std::abort();
    if (error.message() != printable(error.message(), error.message().size())) std::abort();
  } catch (const Error&) {
  }
  try {
    IgnorePatterns::parse(text, "i").is_ignored("a/b.c/d");
  } catch (const SyntaxError&) {
  }
  return 0;
}
