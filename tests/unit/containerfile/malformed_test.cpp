// Files with one mistake each: where it is, and what the author is told to write.
#include <doctest/doctest.h>

#include "containerfile/evaluate.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::containerfile;

namespace {

struct Case {
  std::string_view text;
  std::string_view place;  ///< "LINE:COLUMN"
  std::string_view what;   ///< part of the message
  std::string_view hint;   ///< part of the hint
};

const Case k_cases[]{
    {"", "1:1", "no FROM", "begin with FROM"},
    {"# only\n# comments\n", "2:1", "no FROM", "begin with FROM"},
    {"ARG A=1\n", "1:1", "no FROM", "begin with FROM"},
    {"RUN x\nFROM a\n", "1:1", "RUN comes before the first FROM", "only ARG"},
    {"FORM a\n", "1:1", "no instruction is called FORM", "did you mean FROM?"},
    {"FROM a\nRUNN x\n", "2:1", "called RUNN", "did you mean RUN?"},
    {"FROM a\n  copi x y\n", "2:3", "called copi", "did you mean COPY?"},
    {"FROM a\nRUN x &&\n  make install\n", "3:3", "called make", "end that one with \\"},
    {"# escape=`\nFROM a\nRUN x &&\nfrobnicate y\n", "4:1", "called frobnicate", "end that one with `"},
    {"# escape=x\nFROM a\n", "1:10", "\"x\" can't be the escape", "\\ or `"},
    {"# escape=`\n# ESCAPE=`\nFROM a\n", "2:10", "a second \"escape\"", "keep one"},
    {"FROM\n", "1:1", "FROM without an image", "FROM IMAGE"},
    {"FROM a b\n", "1:8", "\"b\" can't follow", "AS NAME"},
    {"FROM a AZ b\n", "1:8", "\"AZ\" can't follow", "AS NAME"},
    {"FROM a AS 1b\n", "1:11", "\"1b\" can't name a stage", "a letter"},
    {"FROM --platfrom=x a\n", "1:6", "no flag --platfrom", "did you mean --platform?"},
    {"FROM --platform a\n", "1:6", "no value after --platform", "--platform=VALUE"},
    {"FROM a\nENV\n", "2:1", "ENV without an argument", "same line"},
    {"FROM a\nENV A\n", "2:5", "ENV A has no value", "ENV A=VALUE"},
    {"FROM a\nENV A=1 B\n", "2:9", "no \"=\" in B", "double quotes"},
    {"FROM a\nENV A=1 \\\n    =2\n", "3:5", "no name before", "no blanks"},
    {"FROM a\nLABEL x\n", "2:7", "LABEL x has no value", "LABEL x=VALUE"},
    {"FROM a\nARG =1\n", "2:5", "no name before", "no blanks"},
    {"FROM a\nENV A=\"x\n", "2:7", "double quote (\") is not closed", "close it"},
    {"FROM a\nENV A=x'y\n", "2:8", "single quote (') is not closed", "close it"},
    {"FROM a\nENV A=${B\n", "2:7", "\"${\" is not closed", "add \"}\""},
    {"FROM a\nENV A=x${}\n", "2:8", "without a name", "${NAME}"},
    {"FROM a\nENV A=${B:=x}\n", "2:10", "\":=\" means nothing after ${B", ":- - :+ +"},
    {"FROM a\nENV A=${B:?lacking}\n", "2:7", "B: lacking", "--build-arg B="},
    {"FROM a\nENV A=${B/x}\n", "2:7", "\"/\" is missing", "PATTERN/TEXT"},
    {"FROM a\nENV B=x A=${B#\\x}\n", "2:11", "invalid pattern", ""},
    {"FROM a\nCOPY x\n", "2:6", "a source and a destination", "SOURCE"},
    {"FROM a\nCOPY\n", "2:1", "a source and a destination", "SOURCE"},
    {"FROM a\nCOPY --form=b x y\n", "2:6", "no flag --form", "did you mean --from?"},
    {"FROM a\nCOPY --from=$X x y\n", "2:13", "can't have variables", "name a stage"},
    {"FROM a\nCOPY --link=maybe x y\n", "2:6", "no \"true\" or \"false\"", "--link=false"},
    {"FROM a\nCOPY --chown=1 --chown=2 x y\n", "2:16", "a second --chown", "keep one"},
    {"FROM a\nCOPY [\"a\", 1]\n", "2:6", "only strings", "double quotes"},
    {"FROM a\nCOPY \"my file\" /x\n", "2:6", "double quote (\") is not closed", "close it"},
    {"FROM a\nCOPY x <<EOF\nEOF\n", "2:8", "can't be a heredoc", "destination last"},
    {"FROM a\nCOPY <<EOF /x\ntext\n", "2:6", "the heredoc EOF has no end", "a line that holds EOF"},
    {"FROM a\nRUN cat <<A <<B\nA\n", "2:9", "the heredoc B has no end", "a line that holds B"},
    {"FROM a\nRUN --mout=type=cache x\n", "2:5", "no flag --mout", "did you mean --mount?"},
    {"FROM a\nRUN --mount=type=cahce,target=/x y\n", "2:13", "\"cahce\" is no type", "did you mean type=cache?"},
    {"FROM a\nRUN --mount=type=cache,tagret=/x y\n", "2:24", "no option \"tagret\"", "did you mean target?"},
    {"FROM a\nRUN --mount=type=cache y\n", "2:13", "needs a target", "target="},
    {"FROM a\nRUN --mount=type=cache,target=/x,sharing=shard y\n", "2:34", "sharing=shard", "sharing=shared?"},
    {"FROM a\nRUN --mount=type=bind,target=/x,size=1g y\n", "2:33", "size means nothing for type=bind", ""},
    {"FROM a\nRUN --mount=type=tmpfs,target=/x,size=1q y\n", "2:34", "size=1q is no size", "512m"},
    {"FROM a\nRUN --mount=type=cache,target=/x,mode=9 y\n", "2:34", "no octal number", ""},
    {"FROM a\nRUN --mount=type=secret y\n", "2:13", "a secret without an id", "id=NAME"},
    {"FROM a\nRUN --mount=type=ssh y\n", "2:13", "type=ssh", "secret"},
    {"FROM a\nRUN --mount=type=bind,from=$X,target=/y z\n", "2:28", "from= can't have variables", "name a stage"},
    {"FROM a\nRUN --network=nnoe x\n", "2:15", "--network=nnoe", "known are"},
    {"FROM a\nRUN --security=insecure x\n", "2:16", "without root on the host", "leave it out"},
    {"FROM a\nCMD --version\n", "2:5", "no flag --version", "CMD [\"--version\"]"},
    {"FROM a\nSHELL /bin/sh -c\n", "2:7", "SHELL wants a JSON array", "SHELL [\""},
    {"FROM a\nHEALTHCHECK\n", "2:1", "without an argument", "HEALTHCHECK CMD"},
    {"FROM a\nHEALTHCHECK CURL x\n", "2:13", "CURL is not known", "HEALTHCHECK CMD"},
    {"FROM a\nHEALTHCHECK NONE x\n", "2:18", "nothing can follow", ""},
    {"FROM a\nHEALTHCHECK --interval=5x CMD y\n", "2:24", "--interval=5x is no duration", "30s"},
    {"FROM a\nHEALTHCHECK --retries=-1 CMD y\n", "2:23", "--retries=-1", ""},
    {"FROM a\nONBUILD FROM b\n", "2:9", "FROM can't follow ONBUILD", ""},
    {"FROM a\nONBUILD RUM x\n", "2:9", "called RUM", "did you mean RUN?"},
    {"FROM a\nEXPOSE 80/tpc\n", "2:8", "\"80/tpc\" is no port", "EXPOSE 8080"},
    {"FROM a\nEXPOSE 70000\n", "2:8", "from 0 to 65535", "EXPOSE 8080"},
    {"FROM a\nVOLUME [\"\"]\n", "2:9", "an empty path", ""},
    {"FROM a\nUSER\n", "2:1", "USER without an argument", "same line"},
    {"FROM a\nWORKDIR \\\n  # nothing\n", "2:1", "WORKDIR without an argument", "same line"},
    {"FROM $A\n", "1:6", "the image of FROM $A is empty", "$A is not set"},
    {"FROM --platform=linux/amd46/x/y a\n", "1:17", "linux/amd46/x/y", ""},
};

// As a build goes over a file: parsed, then evaluated.
void build(std::string_view text) {
  const Containerfile file = parse(text, "Containerfile");
  GlobalVariables globals(file, {{}, Platform::parse("amd64"), Platform::parse("amd64"), {}});
  for (const Stage& stage : file.stages) {
    globals.base_of(stage);
    StageVariables variables(globals, {});
    for (const Instruction& instruction : stage.instructions) variables.evaluate(instruction);
  }
}

}  // namespace

TEST_CASE("each mistake is told with line, column and what to write") {
  for (const Case& one : k_cases) {
    CAPTURE(one.text);
    const auto thrown = test::thrown_by<SyntaxError>([&] { build(one.text); });
    CHECK(thrown.message.starts_with("Containerfile:" + std::string(one.place) + ": "));
    CHECK(thrown.message.find(one.what) != std::string::npos);
    CHECK(thrown.hint.find(one.hint) != std::string::npos);
  }
  CHECK(std::size(k_cases) >= 40);
}
