#include "cli/container_options.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"
#include "tests/unit/thrown.hpp"

namespace mlctr::cli {
namespace {

using Words = std::vector<std::string>;

// The option as a word of its own, and how many words it took.
std::string taken(const Words& words) {
  const auto found = take_container_option(words, 0);
  return found ? to_word(found->given) + (found->words == 2 ? " 2" : "") : "";
}

Words of_variables(const Words& environment, const Words& given = {}) {
  std::vector<GivenOption> options;
  for (std::size_t at = 0; at < given.size(); ++at) options.push_back(take_container_option(given, at)->given);
  Words words;
  for (const GivenOption& option : options_of_variables(environment, options)) words.push_back(to_word(option));
  return words;
}

TEST_CASE("an option is taken as getopt_long takes it") {
  CHECK(taken({"--container-image=a"}) == "--container-image=a");
  CHECK(taken({"--container-image", "a"}) == "--container-image=a 2");
  CHECK(taken({"--container-im=a=b"}) == "--container-image=a=b");
  CHECK(taken({"--no-container-m"}) == "--no-container-mount-home");
  CHECK(taken({"--container-entrypoint"}) == "--container-entrypoint");
  CHECK(taken({"--container-entrypoint-l"}) == "--container-entrypoint-log");
}

TEST_CASE("what is srun's own is left to it") {
  for (const char* word :
       {"--container", "--container=bundle", "--container-id=3", "--cont", "--no-c", "-c", "--", "command", ""}) {
    CAPTURE(word);
    CHECK(taken({word}) == "");
  }
}

TEST_CASE("hostile input: options that are none") {
  for (const Words& words : {Words{"--container-image"}, Words{"--container-image="}, Words{"--container-image", ""},
                             Words{"--container-en=A"}, Words{"--container-writable=1"}, Words{"--container-=1"}}) {
    CAPTURE(words[0]);
    CHECK(!test::thrown_by<UsageError>([&] { taken(words); }).message.empty());
  }
}

TEST_CASE("variables say what options would, where those are not given") {
  CHECK(of_variables({"PYXIS_CONTAINER_IMAGE=p", "MLCTR_CONTAINER_IMAGE=m", "OTHER=1"}) ==
        Words{"--container-image=m"});
  CHECK(of_variables({"PYXIS_CONTAINER_IMAGE=p"}, {"--container-image=given"}).empty());
  CHECK(of_variables({"PYXIS_CONTAINER_IMAGE="}).empty());
  CHECK(of_variables({"PYXIS_CONTAINER_REMAP_ROOT=Yes", "PYXIS_CONTAINER_MOUNT_HOME=0"}) ==
        Words{"--no-container-mount-home", "--container-remap-root"});
  CHECK(of_variables({"PYXIS_CONTAINER_REMAP_ROOT=1"}, {"--no-container-remap-root"}).empty());
  CHECK(of_variables({"MLCTR_CONTAINER_READONLY=1"}) == Words{"--container-readonly"});
  CHECK(of_variables({"MLCTR_CONTAINER_READONLY=0"}) == Words{"--container-writable"});
  CHECK(of_variables({"MLCTR_CONTAINER_WRITABLE=1", "PYXIS_CONTAINER_READONLY=1"}) == Words{"--container-writable"});
  CHECK(of_variables({"MLCTR_CONTAINER_ENTRYPOINT_LOG=0"}).empty());
  CHECK(test::contains(test::thrown_by<UsageError>([] { of_variables({"PYXIS_CONTAINER_WRITABLE=perhaps"}); }).message,
                       "PYXIS_CONTAINER_WRITABLE"));
}

}  // namespace
}  // namespace mlctr::cli
