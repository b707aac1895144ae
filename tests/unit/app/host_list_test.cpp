#include "app/host_list.hpp"

#include <doctest/doctest.h>

using namespace mlctr;

using Hosts = std::vector<std::string>;

TEST_CASE("the first host of Slurm's lists") {
  CHECK(first_host("n1") == "n1");
  CHECK(first_host("n[1-4,7]") == "n1");
  CHECK(first_host("n[07,9]") == "n07");
  CHECK(first_host("a,n[1-4]") == "a");
  CHECK(first_host("rack[1-2]n[3-4],b") == "rack1n3");
  CHECK(first_host("gpu[02-03].site") == "gpu02.site");
}

TEST_CASE("all hosts of Slurm's lists, as `scontrol show hostnames` has them") {
  CHECK(expand_hosts("n1") == Hosts{"n1"});
  CHECK(expand_hosts("n[1-3,7],login") == Hosts{"n1", "n2", "n3", "n7", "login"});
  CHECK(expand_hosts("n[08-11]") == Hosts{"n08", "n09", "n10", "n11"});
  CHECK(expand_hosts("r[1-2]n[3-4].x") == Hosts{"r1n3.x", "r1n4.x", "r2n3.x", "r2n4.x"});
  CHECK(expand_hosts("").empty());
}

TEST_CASE("hostile input: lists that are none") {
  for (const char* list : {"", ",", "[", "]", "n[", "n[]", "n[-]", "[,]", "n[5-3]", "n[1-99999999999999999999]"}) {
    CAPTURE(list);
    CHECK(first_host(list).find_first_of("[,") == std::string::npos);
    for (const std::string& host : expand_hosts(list)) CHECK(host.find_first_of("[,") == std::string::npos);
  }
  CHECK(expand_hosts("n[0-4000000000]").size() == 100'000);
  CHECK(expand_hosts("a[0-9999]b[0-9999]c[0-9999]").size() == 100'000);
}
