#include "containerfile/evaluate.hpp"

#include <doctest/doctest.h>

#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::containerfile;
using mlctr::test::contains;
using mlctr::test::thrown_by;
using Words = std::vector<std::string>;

namespace {

BuildArguments arguments(std::map<std::string, std::string> given = {}) {
  return {std::move(given), Platform::parse("amd64"), Platform::parse("arm64"), {}};
}

struct Evaluated {
  std::vector<Instruction> instructions;
  Words environment, run_environment;
  std::vector<std::pair<std::string, std::string>> declared;
  std::vector<Warning> warnings;
};

Evaluated evaluated(std::string_view text, std::map<std::string, std::string> given = {}, const Words& base = {}) {
  const Containerfile file = parse(text, "f");
  const GlobalVariables globals(file, arguments(std::move(given)));
  StageVariables variables(globals, base);
  Evaluated result;
  for (const Instruction& one : file.stages.at(0).instructions) {
    result.instructions.push_back(variables.evaluate(one));
  }
  result.environment = variables.environment();
  result.run_environment = variables.run_environment();
  result.declared = variables.arguments();
  result.warnings = variables.warnings();
  return result;
}

}  // namespace

TEST_CASE("ENV sees what was before its line, and stays in the image") {
  const Evaluated result =
      evaluated("FROM x\nENV abc=hello\nENV abc=bye def=$abc\nENV ghi=$abc\n", {}, {"PATH=/bin", "abc=x"});
  CHECK(result.environment == Words{"PATH=/bin", "abc=bye", "def=hello", "ghi=bye"});
}

TEST_CASE("ARG is there from its line on, for RUN but not in the image") {
  const Evaluated result =
      evaluated("FROM x\nUSER ${user:-some}\nARG user=other\nARG n=$user-1\nUSER $user$n\n", {{"user", "what"}});
  CHECK(std::get<User>(result.instructions[0].body).user.text == "some");
  CHECK(std::get<User>(result.instructions[3].body).user.text == "whatwhat-1");
  CHECK(result.environment.empty());
  CHECK(result.run_environment == Words{"n=what-1", "user=what"});
  CHECK(result.declared == std::vector<std::pair<std::string, std::string>>{{"user", "what"}, {"n", "what-1"}});
}

TEST_CASE("of ENV and ARG the later line counts") {
  CHECK(evaluated("FROM x\nARG A=arg\nENV A=env\n").run_environment == Words{"A=env"});
  CHECK(evaluated("FROM x\nARG A\nENV A=${A:-v1}\n", {{"A", "given"}}).environment == Words{"A=given"});
}

TEST_CASE("ARGs before FROM reach FROM, and a stage only by name") {
  const Containerfile file =
      parse("ARG V=3\nARG TAG=v$V\nFROM --platform=$TARGETPLATFORM x:${TAG}\nARG TAG\nENV A=$TAG$V\n", "f");
  GlobalVariables globals(file, arguments());
  const StageBase base = globals.base_of(file.stages[0]);
  CHECK(base.reference == "x:v3");
  CHECK(base.platform->to_string() == "linux/arm64");
  StageVariables variables(globals, {});
  for (const Instruction& one : file.stages[0].instructions) variables.evaluate(one);
  CHECK(variables.environment() == Words{"A=v3"});
  REQUIRE(variables.warnings().size() == 1);
  CHECK(to_string(variables.warnings()[0], "f") ==
        "f:5:11: $V is not set; in a stage it takes a line \"ARG V\" (UndefinedVar)");
  GlobalVariables other(file, arguments({{"TAG", "latest"}}));
  CHECK(other.base_of(file.stages[0]).reference == "x:latest");
}

TEST_CASE("platforms and proxies need no value") {
  const Evaluated result =
      evaluated("FROM x\nARG TARGETARCH\nARG BUILDPLATFORM\nARG TARGETSTAGE\nRUN x\n", {{"HTTPS_PROXY", "http://p"}});
  CHECK(result.run_environment == Words{"BUILDPLATFORM=linux/amd64", "HTTPS_PROXY=http://p", "TARGETARCH=arm64",
                                        "TARGETSTAGE=default", "https_proxy=http://p"});
  CHECK(result.declared.size() == 3);
}

TEST_CASE("a stage on a stage goes on with its variables") {
  const Containerfile file = parse("FROM x AS a\nARG A=1\nENV B=$A\nFROM a\nENV C=$A$B\n", "f");
  const GlobalVariables globals(file, arguments());
  StageVariables first(globals, {});
  for (const Instruction& one : file.stages[0].instructions) first.evaluate(one);
  StageVariables second = first.continued();
  second.evaluate(file.stages[1].instructions[0]);
  CHECK(second.environment() == Words{"B=1", "C=11"});
  CHECK(first.environment() == Words{"B=1"});
}

TEST_CASE("a variable that is not set finds the one that was meant") {
  const Evaluated result = evaluated("FROM x\nARG VERSION=1\nRUN $VERSOIN\nENV A=a$VERSOIN\nENV B=${NOPE:-x}\n");
  REQUIRE(result.warnings.size() == 1);
  CHECK(to_string(result.warnings[0], "f") == "f:4:8: $VERSOIN is not set (did you mean $VERSION?) (UndefinedVar)");
}

TEST_CASE("an empty FROM says which ARG lacks") {
  const Containerfile file = parse("FROM x\nARG B=1\nFROM $B\n", "f");
  GlobalVariables globals(file, arguments());
  const auto thrown = thrown_by<SyntaxError>([&] { globals.base_of(file.stages[1]); });
  CHECK(thrown.message == "f:3:6: the image of FROM $B is empty");
  CHECK(contains(thrown.hint, "only ARGs before the first FROM"));
  CHECK(undeclared_arguments(file, arguments({{"B", ""}, {"C", ""}, {"no_proxy", ""}, {"TARGETOS", ""}})) ==
        Words{"C"});
}

TEST_CASE("paths, ports, mounts and heredocs get their values") {
  const Evaluated result = evaluated(
      "FROM x\nARG D=/a P=80\nWORKDIR ${D}b\nEXPOSE $P 90-91/UDP\nCOPY --chown=$P <<e \"$D\" $D/\n\\$D $D 'x'\ne\n"
      "RUN --mount=type=cache,target=$D,id=${P:-no} <<e\n$D\ne\nLABEL $D=$P\n");
  CHECK(std::get<Workdir>(result.instructions[1].body).path.text == "/ab");
  Words ports;
  for (const Word& port : std::get<Expose>(result.instructions[2].body).ports) ports.push_back(port.text);
  CHECK(ports == Words{"80/tcp", "90/udp", "91/udp"});
  const Transfer& transfer = std::get<Copy>(result.instructions[3].body).transfer;
  CHECK(transfer.owner->text == "80");
  CHECK(transfer.sources.at(0).text == "/a");
  CHECK(transfer.destination.text == "/a/");
  CHECK(transfer.contents.at(0).content == "$D /a 'x'\n");
  const Run& run = std::get<Run>(result.instructions[4].body);
  CHECK(std::get<CacheMount>(run.mounts.at(0)).id == "80");
  CHECK(run.command.heredocs.at(0).content == "$D\n");
  CHECK(std::get<Label>(result.instructions[5].body).labels.at(0).name.text == "/a");
}

TEST_CASE("values that no program could be started with are refused") {
  std::string text = "FROM x\nENV A0=0123456789abcdef\n";
  for (int i = 0; i < 20; ++i)
    text += "ENV A" + std::to_string(i + 1) + "=$A" + std::to_string(i) + "$A" + std::to_string(i) + "\n";
  const auto thrown = thrown_by<SyntaxError>([&] { evaluated(text); });
  CHECK(contains(thrown.message, "f:15:5: A13 is longer than 131072 bytes"));
}
