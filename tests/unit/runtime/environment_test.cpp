#include "runtime/environment.hpp"

#include <doctest/doctest.h>

#include "base/error.hpp"
#include "thrown.hpp"

using namespace mlctr;
using namespace mlctr::runtime;
using Words = std::vector<std::string>;

TEST_CASE("later layers replace earlier ones and say so") {
  Environment environment;
  environment.set_entries({"A=1", "B=x=y", "=nothing", "nothing", "A=2"}, "image");
  environment.set("A", "3", "--env");
  CHECK(environment.entries() == Words{"A=3", "B=x=y"});
  CHECK(environment.variables().at("A").origin == "--env");
  CHECK(environment.variables().at("B").origin == "image");
  environment.unset("A");
  CHECK_FALSE(environment.has("A"));
  CHECK(environment.value("A").empty());
}

TEST_CASE("of the host's environment, what steers programs stays outside") {
  Environment environment;
  environment.set("LANG", "C", "image");
  add_host_environment(environment,
                       {"PATH=/host", "LD_PRELOAD=x", "LD_LIBRARY_PATH=x", "PYTHONPATH=x", "PYTHONHOME=x", "BASH_ENV=x",
                        "BASH_FUNC_ls%%=() { }", "CONDA_PREFIX=x", "XDG_RUNTIME_DIR=x", "MLCTR_STORE=x", "LANG=de",
                        "SLURM_JOB_ID=17", "CUDA_VISIBLE_DEVICES=0", "RANK=3", "HTTP_PROXY=p", "TERM=xterm", "MANPATHS=1",
                        "=odd", "odd"});
  CHECK(environment.entries() == Words{"CUDA_VISIBLE_DEVICES=0", "HTTP_PROXY=p", "LANG=C", "MANPATHS=1", "RANK=3",
                                       "SLURM_JOB_ID=17", "TERM=xterm"});
  CHECK(why_withheld("LD_AUDIT"));
  CHECK(why_withheld("PYTHONSTARTUP"));
  CHECK_FALSE(why_withheld("LDFLAGS"));
}

TEST_CASE("--env takes a value, or the host's") {
  const Words host{"TERM=xterm", "TERMINFO=x", "EMPTY="};
  CHECK(parse_env_option("A=1=2", host) == "A=1=2");
  CHECK(parse_env_option("A=", host) == "A=");
  CHECK(parse_env_option("TERM", host) == "TERM=xterm");
  CHECK(parse_env_option("EMPTY", host) == "EMPTY=");
  CHECK_FALSE(parse_env_option("ABSENT", host));
  for (const std::string_view text : {"", "=x", "a b=1", "\t=1"}) CHECK_THROWS_AS(parse_env_option(text, host), UsageError);
}

TEST_CASE("env files are docker's") {
  const Words host{"FROM_HOST=yes"};
  CHECK(parse_env_file("# no\n\n  A=1 # kept\r\nB=\nFROM_HOST\nABSENT\nLAST='q'", host) ==
        Words{"A=1 # kept", "B=", "FROM_HOST=yes", "LAST='q'"});
  CHECK(parse_env_file("", host).empty());
  CHECK(test::contains(test::thrown_by([&] { parse_env_file("A=1\n\na b=2\n", host); }).message, "line 3"));
}
