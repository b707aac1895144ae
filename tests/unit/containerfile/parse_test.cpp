#include <doctest/doctest.h>

#include "containerfile/containerfile.hpp"
#include "containerfile/glob.hpp"

using namespace mlctr::containerfile;
using Words = std::vector<std::string>;

namespace {

// The instructions of a file's only stage.
std::vector<Instruction> parsed(std::string_view text) {
  return parse("FROM x\n" + std::string(text), "f").stages.at(0).instructions;
}

template <typename Kind>
Kind only(std::string_view text) {
  const std::vector<Instruction> instructions = parsed(text);
  REQUIRE(instructions.size() == 1);
  return std::get<Kind>(instructions[0].body);
}

std::string shell_text(std::string_view text) {
  return only<Run>(text).command.words.at(0);
}

Words texts(const std::vector<Word>& words) {
  Words found;
  for (const Word& word : words) found.push_back(word.text);
  return found;
}

}  // namespace

TEST_CASE("a line goes on after an escape character, over comments and empty lines") {
  CHECK(shell_text("RUN a \\\n  b\n") == "a   b");
  CHECK(shell_text("RUN a\\  \n# comment\n   # another\nb") == "ab");
  CHECK(shell_text("RUN a \\\n\n\nb") == "a b");
  CHECK(shell_text("RUN a\\\\\n") == "a\\\\");
  CHECK(shell_text("RUN a \\") == "a");
  CHECK(shell_text("RUN a \\\r\n b\r\n") == "a  b");
  CHECK(shell_text("RUN echo # no comment") == "echo # no comment");
}

TEST_CASE("directives count only at the very top") {
  const auto file = parse("\xef\xbb\xbf# Syntax = docker/dockerfile:1\n#escape=`\nFROM x\nRUN a `\nb\\\n", "f");
  CHECK(file.syntax == "docker/dockerfile:1");
  CHECK(file.escape == '`');
  CHECK(std::get<Run>(file.stages[0].instructions[0].body).command.words[0] == "a b\\");
  CHECK(parse("# a comment\n# escape=`\nFROM x\n", "f").escape == '\\');
  CHECK(parse("\n# escape=`\nFROM x\n", "f").escape == '\\');
  CHECK(parse("# unknown=1\n# escape=`\nFROM x\n", "f").escape == '\\');
}

TEST_CASE("heredocs are read as a shell reads them") {
  const Run run = only<Run>("RUN cat <<-EOF 3<<'B c'\n\ta\n\tEOF\n# $x\nB c\n");
  REQUIRE(run.command.heredocs.size() == 2);
  CHECK(run.command.heredocs[0].content == "\ta\n");
  CHECK(content_of(run.command.heredocs[0]) == "a\n");
  CHECK(run.command.heredocs[0].variables == HeredocVariables::expanded);
  CHECK(run.command.heredocs[1].name == "B c");
  CHECK(run.command.heredocs[1].content == "# $x\n");
  CHECK(run.command.heredocs[1].variables == HeredocVariables::literal);
  CHECK(run.command.heredocs[1].place == Place{5, 1});
  CHECK(script_of(run.command).content == "cat <<-EOF 3<<'B c'\n\ta\nEOF\n# $x\nB c");
  CHECK(script_of(only<Run>("RUN <<E\na\nb\nE\n").command).content == "a\nb\n");
  const RunScript script = script_of(only<Run>("RUN <<E\n#!/bin/python3\nprint(1)\nE\n").command);
  CHECK(script.kind == RunScript::Kind::file);
  CHECK(script.name == "E");
  CHECK(only<Run>("RUN x <<<word").command.heredocs.empty());
  CHECK(only<Run>("RUN [\"cat\", \"<<E\"]").command.heredocs.empty());
  CHECK(only<OnBuild>("ONBUILD RUN <<E\na\nE\n").expression == "RUN <<E\na\nE");
}

TEST_CASE("COPY and ADD take lists, JSON, heredocs and their flags") {
  const Copy copy =
      only<Copy>("COPY --from=0 --chown=1:2 --chmod=755 --link --parents --exclude=*.o --exclude=b a* c/ /d/");
  CHECK(copy.from->text == "0");
  CHECK(texts(copy.transfer.sources) == Words{"a*", "c/"});
  CHECK(copy.transfer.destination == Word{"/d/", {2, 88}});
  CHECK(copy.transfer.owner->text == "1:2");
  CHECK(copy.transfer.mode->text == "755");
  CHECK(copy.transfer.link == LinkMode::independent);
  CHECK(copy.parents == ParentNames::kept);
  CHECK(texts(copy.transfer.excludes) == Words{"*.o", "b"});
  CHECK(texts(only<Copy>("COPY [\"a b\", \"c\"]").transfer.sources) == Words{"a b"});
  CHECK(texts(only<Copy>("COPY [\"a\", c] d").transfer.sources) == Words{"[\"a\",", "c]"});
  CHECK(only<Copy>("COPY --link=false a b").transfer.link == LinkMode::follow);
  CHECK(texts(only<Copy>("COPY -- --a b").transfer.sources) == Words{"--a"});
  const Copy here = only<Copy>("COPY <<a <<\"b\" c /d/\n$x\na\n$x\nb\n");
  CHECK(texts(here.transfer.sources) == Words{"c"});
  CHECK(here.transfer.contents.at(1).variables == HeredocVariables::literal);
  const Add add = only<Add>("ADD --checksum=sha256:0 --keep-git-dir=true --unpack=false https://x/y /z");
  CHECK(add.checksum->text == "sha256:0");
  CHECK(add.git_directory == GitDirectory::kept);
  CHECK(add.archives == Archives::kept);
}

TEST_CASE("ENV, LABEL and ARG have their own words") {
  const Env env = only<Env>("ENV a=1 b=\"x y\" c=x\\ y d=");
  REQUIRE(env.variables.size() == 4);
  CHECK(env.variables[1].value == Word{"\"x y\"", {2, 11}});
  CHECK(env.variables[2].value.text == "x\\ y");
  CHECK(env.variables[3].value.text.empty());
  const Env legacy = only<Env>("ENV a b  c=d");
  CHECK(legacy.form == AssignmentForm::legacy);
  CHECK(legacy.variables.at(0).value.text == "b  c=d");
  CHECK(only<Label>("LABEL \"a.b\"=\"c\"").labels.at(0).name.text == "\"a.b\"");
  const Arg arg = only<Arg>("ARG a b=1 c=");
  CHECK(!arg.declarations.at(0).value);
  CHECK(arg.declarations.at(1).value->text == "1");
  CHECK(arg.declarations.at(2).value->text.empty());
}

TEST_CASE("commands are for the shell or JSON for exec") {
  CHECK(only<Cmd>("CMD [\"a\",\"b\\n\"]").command.words == Words{"a", "b\n"});
  CHECK(only<Cmd>("CMD ['a', 'b']").command.form == CommandForm::shell);
  CHECK(only<Entrypoint>("ENTRYPOINT []").command.form == CommandForm::exec);
  CHECK(only<Cmd>("CMD").command.words.empty());
  CHECK(only<Shell>("SHELL [\"/bin/bash\", \"-c\"]").words == Words{"/bin/bash", "-c"});
  CHECK(only<Volume>("VOLUME /a /b").paths.size() == 2);
  CHECK(texts(only<Volume>("VOLUME [\"/a b\"]").paths) == Words{"/a b"});
  const Healthcheck check =
      only<Healthcheck>("HEALTHCHECK --interval=1m30s --timeout=500ms --retries=3 CMD curl -f http://x");
  CHECK(check.test == Words{"CMD-SHELL", "curl -f http://x"});
  CHECK(check.interval == std::chrono::seconds(90));
  CHECK(check.timeout == std::chrono::milliseconds(500));
  CHECK(check.retries == 3);
  CHECK(only<Healthcheck>("HEALTHCHECK CMD [\"a\"]").test == Words{"CMD", "a"});
  CHECK(only<Healthcheck>("HEALTHCHECK none").test == Words{"NONE"});
}

TEST_CASE("stages have names and numbers") {
  const auto file = parse(
      "ARG V=1\nFROM --platform=$BUILDPLATFORM a:$V as Build\nRUN x\nFROM build\nFROM scratch AS last\n"
      "COPY --from=build /a /b\nRUN --mount=type=bind,from=1,target=/x y\n",
      "f");
  REQUIRE(file.stages.size() == 3);
  CHECK(file.global_arguments.size() == 1);
  CHECK(file.stages[0].name == "build");
  CHECK(file.stages[0].platform->text == "$BUILDPLATFORM");
  CHECK(file.stages[0].base == Word{"a:$V", {2, 32}});
  CHECK(find_stage(file, "BUILD", 3) == 0);
  CHECK(find_stage(file, "1", 3) == 1);
  CHECK(!find_stage(file, "2", 2));
  CHECK(!find_stage(file, "debian", 3));
  CHECK(target_stage(file, "") == 2);
  CHECK(target_stage(file, "build") == 0);
  CHECK_THROWS_AS(target_stage(file, "buidl"), mlctr::Error);
  CHECK(texts(sources_of(file.stages[2].instructions[0])) == Words{"build"});
  CHECK(texts(sources_of(file.stages[2].instructions[1])) == Words{"1"});
}

TEST_CASE("a trigger of the base image is parsed at the FROM that has it") {
  const Instruction run = parse_trigger("RUN <<E\na\nE", "f", {3, 1});
  CHECK(std::get<Run>(run.body).command.heredocs.at(0).content == "a\n");
  CHECK(run.place == Place{3, 1});
  CHECK_THROWS_AS(parse_trigger("RUN a\nRUN b", "f", {3, 1}), SyntaxError);
  CHECK_THROWS_AS(parse_trigger("", "f", {3, 1}), SyntaxError);
}

TEST_CASE("what was hardly meant is told") {
  const auto rules = [](std::string_view text) {
    std::string found;
    for (const Warning& warning : parse(text, "f").warnings) {
      found += std::to_string(warning.place.line) + warning.rule + " ";
    }
    return found;
  };
  CHECK(rules("FROM x\nCMD a\nCMD [\"b\"]\n") == "2JSONArgsRecommended 2MultipleInstructionsDisallowed ");
  CHECK(rules("FROM x AS a\nFROM y AS a\nMAINTAINER me\n") == "2DuplicateStageName 3MaintainerDeprecated ");
  CHECK(rules("FROM x\nENV A b\nENV API_KEY=1 KEY_FILE=2\n") == "2LegacyKeyValueFormat 3SecretsUsedInArgOrEnv ");
  CHECK(rules("FROM x\nUSER app\nRUN a\nRUN b\nUSER 0:0\nRUN c\n") == "3SingleId ");
  CHECK(rules("FROM x\nRUN ['a', 'b']\nRUN [ -f x ]\n") == "2JSONArgsInvalid ");
  CHECK(rules("FROM x\nRUN a \\\n\n b\n") == "3NoEmptyContinuation ");
  CHECK(rules("# check=skip=SingleId,JSONArgsRecommended\nFROM x\nUSER a\nRUN a\nCMD a\n") == "");
}

TEST_CASE("globs stop at a slash") {
  CHECK(matches_glob("*.txt", "a.txt"));
  CHECK(!matches_glob("*.txt", "d/a.txt"));
  CHECK(matches_glob("d/?[a-c]\\*", "d/xb*"));
  CHECK(matches_glob("[^a]", "/"));  // a class may take it, in Go too
  CHECK(matches_glob("[^a]", "한"));
  CHECK_THROWS_AS(matches_glob("[]a]", "a"), mlctr::Error);
  CHECK_THROWS_AS(matches_glob("[a", "a"), mlctr::Error);
  CHECK(has_wildcard("a[b]"));
  CHECK(!has_wildcard("a\\*"));
}
