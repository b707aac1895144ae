#include "base/shell_word.hpp"

#include <doctest/doctest.h>

#include "base/process.hpp"

using namespace mlctr;

namespace {

std::string read_by_shell(const std::string& word) {
  return run_process({.arguments = {"sh", "-c", "printf %s " + word}, .standard_input = {}}).standard_output;
}

}  // namespace

TEST_CASE("a shell reads a word as the text it was made of") {
  for (const std::string text : {"plain", "", " ", "it's", "''", "'", "$HOME `id` $(id)", "two\nlines\n", "a\\b", "~",
                                 "#x", "*", "a;b", "!x", "-n", "\"", "\xff\x01"}) {
    CAPTURE(text);
    CHECK(read_by_shell(shell_word(text)) == text);
    CHECK(read_by_shell(shell_quoted(text)) == text);
  }
}

TEST_CASE("only a word that needs quotes has them where people read it") {
  CHECK(shell_word("nvcr.io/nvidia/pytorch:24.01-py3") == "nvcr.io/nvidia/pytorch:24.01-py3");
  CHECK(shell_word("a b") == "'a b'");
  CHECK(shell_quoted("a") == "'a'");
}
