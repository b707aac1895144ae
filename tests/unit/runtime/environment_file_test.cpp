#include "runtime/environment_file.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"

using namespace mlctr::runtime;

using Entries = std::vector<std::string>;

TEST_CASE("lines that set a variable are taken, all others left") {
  CHECK(parse_environment_file("A=1\n  B=2 \n\t# C=3\n\n=4\nD E=5\n1F=6\nno equals\n_G=\nA=7") ==
        Entries{"A=1", "B=2 ", "_G=", "A=7"});
  CHECK(parse_environment_file("").empty());
  CHECK(parse_environment_file("\n\n").empty());
}

TEST_CASE("the lines that nobody will miss are told from those that someone meant") {
  CHECK(ignored_lines("A=1\n \t\n # C=3\n\nexport B=2\n=4\nMLCTR_STORE=/x\nA=7") == std::vector<std::size_t>{5, 6, 7});
  CHECK(ignored_lines("export PATH") == std::vector<std::size_t>{1});
  CHECK(ignored_lines("").empty());
}

TEST_CASE("the runtime's own variables can't be set") {
  CHECK(parse_environment_file("ENROOT_ROOTFS=/\nMLCTR_STORE=/x\nENROOTS=1\nMLCTR=2\n") ==
        Entries{"ENROOTS=1", "MLCTR=2"});
}

TEST_CASE("quotes around a value go, one of each side and of either kind") {
  CHECK(parse_environment_file("A=\"x y\"  \nB='x'\nC=\"x'\nD=\"\nE=x\"y\"\nF=\"\"z\"\"\nG=''\nH=\"a\" b\n") ==
        Entries{"A=x y", "B=x", "C=x", "D=\"", "E=x\"y\"", "F=\"z\"", "G=", "H=\"a\" b"});
}

TEST_CASE("no environment can hold a NUL") {
  CHECK(parse_environment_file(std::string_view("A=1\0\nB\0=2\nC=3", 13)) == Entries{"C=3"});
}

TEST_CASE("only braces make a reference, and a value is not looked at again") {
  const Entries host{"A=one", "B=${A}", "A=two", "EMPTY="};
  const VariableLookup value_of = lookup_in(host);
  CHECK(expand_variables("${A} $A ${B} ${NONE}|${EMPTY}|", value_of) == "two $A ${A} ||");
  CHECK(expand_variables("${A", value_of) == "${A");
  CHECK(expand_variables("${} ${1} ${A-x} ${${A}}", value_of) == "${} ${1} ${A-x} ${two}");
  CHECK(expand_variables("$${A}${A}", value_of) == "$twotwo");
  const VariableLookup large = [](std::string_view) { return std::string(100u << 10, 'x'); };
  CHECK(expand_variables("${A}", large).size() == 100u << 10);
  CHECK_THROWS_AS(expand_variables("${A}${B}", large), mlctr::Error);
}
