#include "image/config.hpp"

#include <doctest/doctest.h>

#include "tests/unit/thrown.hpp"

using namespace mlctr;
using mlctr::test::contains;
using mlctr::test::thrown_by;

namespace {

using Strings = std::vector<std::string>;

std::string complaint(std::string_view body) {
  return thrown_by([&] { parse_image_config(body); }).message;
}

std::string with_process(std::string_view process) {
  return R"({"os":"linux","architecture":"amd64","rootfs":{"type":"layers","diff_ids":[]},"config":)" +
         std::string(process) + "}";
}

}  // namespace

// The example of image-spec's config.md.
TEST_CASE("the specification's example is read whole") {
  const ImageConfig config = parse_image_config(R"({
    "created": "2015-10-31T22:22:56.015925234Z",
    "author": "Alyssa P. Hacker <alyspdev@example.com>",
    "architecture": "amd64",
    "os": "linux",
    "config": {
        "User": "alice",
        "ExposedPorts": {"8080/tcp": {}},
        "Env": ["PATH=/usr/local/sbin:/usr/bin", "FOO=oci_is_a", "BAR=well_written_spec"],
        "Entrypoint": ["/bin/my-app-binary"],
        "Cmd": ["--foreground", "--config", "/etc/my-app.d/default.cfg"],
        "Volumes": {"/var/job-result-data": {}, "/var/log/my-app-logs": {}},
        "WorkingDir": "/home/alice",
        "Labels": {"com.example.project.git.url": "https://example.com/project.git"}
    },
    "rootfs": {
      "diff_ids": [
        "sha256:c6f988f4874bb0add23a778f753c65efe992244e148a1d2ec2a8b664fb66bbd1",
        "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
      ],
      "type": "layers"
    },
    "history": [{"created": "2015-10-31T22:22:54.690851953Z", "empty_layer": true}]
  })");
  CHECK(config.platform.to_string() == "linux/amd64");
  CHECK(config.created == "2015-10-31T22:22:56.015925234Z");
  CHECK(config.author == "Alyssa P. Hacker <alyspdev@example.com>");
  CHECK(config.user == "alice");
  CHECK(config.exposed_ports == Strings{"8080/tcp"});
  CHECK(config.environment == Strings{"PATH=/usr/local/sbin:/usr/bin", "FOO=oci_is_a", "BAR=well_written_spec"});
  CHECK(config.entrypoint == Strings{"/bin/my-app-binary"});
  CHECK(config.command == Strings{"--foreground", "--config", "/etc/my-app.d/default.cfg"});
  CHECK(config.volumes == Strings{"/var/job-result-data", "/var/log/my-app-logs"});
  CHECK(config.working_directory == "/home/alice");
  CHECK(config.labels.at("com.example.project.git.url") == "https://example.com/project.git");
  REQUIRE(config.diff_ids.size() == 2);
  CHECK(config.diff_ids[1].short_hex() == "5f70bf18a086");
}

TEST_CASE("docker's nulls, lone strings and additions are taken") {
  const ImageConfig config = parse_image_config(with_process(
      R"({"Env":null,"Cmd":"/bin/sh","Entrypoint":null,"Volumes":null,"Labels":{"a":null,"b":"c"},"Shell":["bash","-c"],"StopSignal":"SIGQUIT","Hostname":"x"})"));
  CHECK(config.environment.empty());
  CHECK(config.command == Strings{"/bin/sh"});
  CHECK(config.entrypoint.empty());
  CHECK(config.volumes.empty());
  CHECK(config.labels == std::map<std::string, std::string>{{"a", ""}, {"b", "c"}});
  CHECK(config.shell == Strings{"bash", "-c"});
  CHECK(config.stop_signal == "SIGQUIT");
}

TEST_CASE("what has no name or no value can't be in the environment") {
  const ImageConfig config = parse_image_config(with_process(R"({"Env":["A=1","B","","=x","C="]})"));
  CHECK(config.environment == Strings{"A=1", "C="});
}

TEST_CASE("an image without layers or process settings is one still") {
  const ImageConfig config =
      parse_image_config(R"({"architecture":"arm","variant":"v6","rootfs":{"type":"layers","diff_ids":null}})");
  CHECK(config.platform.to_string() == "linux/arm/v6");
  CHECK(config.diff_ids.empty());
}

TEST_CASE("a wrong shape is named by its path") {
  CHECK(complaint("{}") == "$.rootfs: missing");
  CHECK(complaint("null") == "$: expected an object, found null");
  CHECK(contains(complaint(R"({"rootfs":{"type":"tree"}})"), "$.rootfs.type: root filesystems of type tree"));
  CHECK(contains(complaint(R"({"rootfs":{"diff_ids":["sha256:1"]}})"), "$.rootfs.diff_ids[0]: invalid digest"));
  CHECK(contains(complaint(R"({"rootfs":{"diff_ids":{}}})"), "$.rootfs.diff_ids: expected an array"));
  CHECK(contains(complaint(with_process(R"({"Env":["A=1",2]})")), "$.config.Env[1]: expected a string"));
  CHECK(contains(complaint(with_process(R"({"Cmd":{"a":1}})")), "$.config.Cmd: expected an array"));
  CHECK(contains(complaint(with_process(R"({"Labels":{"a b":1}})")), "$.config.Labels[\"a b\"]: expected a string"));
  CHECK(contains(complaint(with_process(R"({"Volumes":["/a"]})")), "$.config.Volumes: expected an object"));
  CHECK(contains(complaint(with_process("[]")), "$.config: expected an object"));
}

TEST_CASE("a NUL, which would cut a value short for the kernel, is refused") {
  CHECK(contains(complaint(with_process(R"({"Env":["A=\u0000B"]})")), "$.config.Env[0]: the string has a NUL"));
  CHECK(contains(complaint(with_process(R"({"WorkingDir":"/a\u0000/../.."})")), "NUL"));
  CHECK(contains(complaint(with_process(R"({"Volumes":{"/a\u0000":{}}})")), "NUL"));
}

TEST_CASE("a hundred megabytes of configuration are not read") {
  CHECK(contains(complaint(std::string(100'000'000, '[')), "more than the 8388608 allowed"));
  CHECK(contains(complaint(std::string(1'000'000, '[')), "nested deeper"));
  std::string many = R"({"rootfs":{"diff_ids":[)";
  for (int i = 0; i < 300'000; ++i) many += "0,";
  CHECK(contains(complaint(many + "0]}}"), "more than 200000 values"));
}
