#include "cli/text_width.hpp"

#include <doctest/doctest.h>

#include <clocale>

using namespace mlctr::cli;

namespace {

struct Locale {
  explicit Locale(const char* name) { is_set = std::setlocale(LC_CTYPE, name) != nullptr; }
  ~Locale() { std::setlocale(LC_CTYPE, "C"); }
  bool is_set;
};

}  // namespace

TEST_CASE("in a UTF-8 locale, width is what the terminal shows") {
  const Locale utf8("C.UTF-8");
  REQUIRE(utf8.is_set);
  CHECK(display_width("python:3.8") == 10);
  CHECK(display_width("━━·") == 3);
  CHECK(display_width("日本") == 4);       // wide
  CHECK(display_width("e\xcc\x81") == 1);  // combining accent
  CHECK(display_width("a\xffz") == 3);     // no UTF-8: a replacement character
  CHECK(display_width("\xe6\x97") == 2);   // cut in the middle
}

TEST_CASE("cutting never splits a character and never exceeds the width") {
  const Locale utf8("C.UTF-8");
  CHECK(cut_to_width("日本語", 5) == "日本");
  CHECK(cut_to_width("日本語", 1) == "");
  CHECK(cut_to_width("abc", 0) == "");
  CHECK(cut_to_width("e\xcc\x81x", 1) == "e\xcc\x81");
}

TEST_CASE("fitting pads on the side that is asked for") {
  const Locale utf8("C.UTF-8");
  CHECK(fit_to_width("日本", 6) == "日本  ");
  CHECK(fit_to_width("日本", 3) == "日 ");
  CHECK(fit_to_width("12", 4, Align::right) == "  12");
  CHECK(fit_to_width("12345", 3, Align::right) == "123");
}

TEST_CASE("folded lines break at spaces and keep their indentation") {
  CHECK(fold("one two three", 80, 0) == "one two three");
  CHECK(fold("one two three", 7, 2) == "one two\n  three");
  CHECK(fold("  one two three", 8, 4) == "  one\n    two\n    three");
  CHECK(fold("  one   two", 11, 2) == "  one   two");
  CHECK(fold("longer-than-that", 4, 2) == "longer-than-that");
  CHECK(fold("", 4, 2).empty());
  CHECK(fold("    ", 2, 0) == "    ");
}

TEST_CASE("in the C locale, a byte is a column") {
  const Locale plain("C");
  CHECK(display_width("\xe6\x97\xa5") == 3);
  CHECK(cut_to_width("ab\xe6", 2) == "ab");
}

TEST_CASE("what is elided is shown, and never more columns than there are") {
  CHECK(elide_end("abcdefgh", 8, "...") == "abcdefgh");
  CHECK(elide_end("abcdefgh", 6, "...") == "abc...");
  CHECK(elide_middle("abcdefgh", 7, "...") == "ab...gh");
  CHECK(elide_middle("abcdefgh", 6, "...") == "ab...h");
  CHECK(elide_middle("abcdefgh", 2, "...") == "ab");
  REQUIRE(std::setlocale(LC_CTYPE, "C.UTF-8") != nullptr);
  CHECK(elide_middle("日本語日本語", 8, "…") == "日本…語");
  std::setlocale(LC_CTYPE, "C");
}
