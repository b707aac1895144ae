#include "base/printable.hpp"

#include <doctest/doctest.h>

using mlctr::printable;
using mlctr::printable_lines;

TEST_CASE("readable text in any script stays as it is") {
  CHECK(printable("") == "");
  CHECK(printable("library/python:3.8") == "library/python:3.8");
  CHECK(printable("Zürich, 東京, 🐳 \\n") == "Zürich, 東京, 🐳 \\n");
}

TEST_CASE("what drives a terminal is escaped") {
  CHECK(printable("\x1b[2J\x1b]0;owned\x07") == "\\x1b[2J\\x1b]0;owned\\x07");
  CHECK(printable("a\nb\rc\td") == "a\\nb\\rc\\td");
  CHECK(printable("\x7f") == "\\x7f");
  CHECK(printable("\xc2\x9b"
                  "31m") == "\\u{9b}31m");  // C1's CSI, one character in some terminals
  CHECK(printable(std::string_view("a\0b", 3)) == "a\\x00b");
}

TEST_CASE("what makes text read differently is escaped") {
  CHECK(printable("abc\xe2\x80\xaegnp.exe") == "abc\\u{202e}gnp.exe");
  CHECK(printable("pay\xe2\x80\x8bpal") == "pay\\u{200b}pal");
  CHECK(printable("\xf3\xa0\x81\x81") == "\\u{e0041}");
}

TEST_CASE("bytes that are no UTF-8 are shown one by one") {
  CHECK(printable("\xff\xfe") == "\\xff\\xfe");
  CHECK(printable("caf\xe9") == "caf\\xe9");                       // Latin-1, cut short
  CHECK(printable("\xc0\xaf") == "\\xc0\\xaf");                    // an overlong slash
  CHECK(printable("\xe0\x80\xaf") == "\\xe0\\x80\\xaf");           // and a longer one
  CHECK(printable("\xed\xa0\x80") == "\\xed\\xa0\\x80");           // a surrogate
  CHECK(printable("\xf4\x90\x80\x80") == "\\xf4\\x90\\x80\\x80");  // past U+10FFFF
}

TEST_CASE("long text is cut between characters") {
  CHECK(printable("abcdef", 3) == "abc…");
  CHECK(printable("abc", 3) == "abc");
  CHECK(printable("aü", 2) == "a…");
}

TEST_CASE("what has lines becomes one line") {
  CHECK(printable_lines("e tmpfs: Bad value for 'size'\n") == "e tmpfs: Bad value for 'size'");
  CHECK(printable_lines("\n first \r\n\n second\x1b\n\n") == "first; second\\x1b");
  CHECK(printable_lines("") == "");
  CHECK(printable_lines("abc\ndef", 4) == "abc;…");
}
