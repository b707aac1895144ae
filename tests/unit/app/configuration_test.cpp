#include "app/configuration.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <utility>

#include "base/error.hpp"
#include "tests/unit/temporary_directory.hpp"
#include "tests/unit/thrown.hpp"

using namespace mlctr;
using namespace mlctr::test;

namespace {

// What a text in the user's file gives.
class UserFile {
 public:
  explicit UserFile(std::string_view text) {
    sources_.user_file = directory_.write("mlctr.toml", text);
    sources_.environment["HOME"] = "/home/me";
  }
  Configuration load() const { return load_configuration(sources_); }
  Thrown refusal() const {
    return thrown_by<Error>([&] { load(); });
  }
  ConfigurationSources& sources() { return sources_; }
  std::string place(int line) const { return sources_.user_file.string() + ":" + std::to_string(line); }

 private:
  TemporaryDirectory directory_;
  ConfigurationSources sources_;
};

}  // namespace

TEST_CASE("without files and variables everything is a default") {
  const ConfigurationSources sources{
      .system_file = "/nonexistent/mlctr.toml", .user_file = "", .environment = {{"HOME", "/home/me"}}};
  const Configuration configuration = load_configuration(sources);
  CHECK(configuration.store == "/home/me/.local/share/mlctr");
  CHECK(configuration.parallel_downloads == Configuration{}.parallel_downloads);
  CHECK(configuration.registries.empty());
  for (const SettingValue& value : list_settings(configuration)) CHECK(value.origin == "default");
}

TEST_CASE("the default store follows XDG_DATA_HOME if that is absolute, and HOME; without both there is none") {
  const auto store_with = [](std::map<std::string, std::string> environment) {
    return load_configuration({.system_file = "", .user_file = "", .environment = std::move(environment)}).store;
  };
  CHECK(store_with({{"XDG_DATA_HOME", "/x"}, {"HOME", "/h"}}) == "/x/mlctr");
  CHECK(store_with({{"XDG_DATA_HOME", "x"}, {"HOME", "/h"}}) == "/h/.local/share/mlctr");
  CHECK(store_with({{"MLCTR_STORE", "/s"}}) == "/s");
  CHECK(store_with({}).empty());
}

TEST_CASE("every kind of value is read, and remembers its line") {
  const UserFile file(
      "store = \"~/images\"\n"
      "extra_stores = [\"/shared/a\", \"/shared/b\"]\n"
      "[pull]\n"
      "threads = 8\n"
      "max_layer_bytes = \"1.5 GiB\"\n"
      "max_layer_entries = 1_000\n"
      "stall_timeout = \"2m\"\n"
      "[gc]\n"
      "layer_cache = 4096\n"
      "[registries.\"localhost:5000\"]\n"
      "mirrors = [\"https://m.local:5000/prefix\"]\n"
      "plain_http = true\n"
      "ca_file = \"/etc/ca.pem\"\n");
  const Configuration configuration = file.load();
  CHECK(configuration.store == "/home/me/images");
  CHECK(configuration.extra_stores == std::vector<std::filesystem::path>{"/shared/a", "/shared/b"});
  CHECK(configuration.threads == 8);
  CHECK(configuration.max_layer_bytes == 1'610'612'736);
  CHECK(configuration.max_layer_entries == 1000);
  CHECK(configuration.stall_timeout == std::chrono::seconds(120));
  CHECK(configuration.layer_cache_bytes == 4096);
  const RegistryConfiguration& registry = configuration.registries.at("localhost:5000");
  CHECK(registry.mirrors == std::vector<std::string>{"https://m.local:5000/prefix"});
  CHECK(registry.plain_http);
  CHECK_FALSE(registry.insecure);
  CHECK(registry.ca_file == "/etc/ca.pem");
  CHECK(configuration.origins.at("store") == file.place(1));
  CHECK(configuration.origins.at("gc.layer_cache") == file.place(9));
  CHECK(configuration.origins.at("registries.\"localhost:5000\".plain_http") == file.place(12));
  CHECK(configuration.origins.at("pull.parallel_downloads") == "default");
}

TEST_CASE("the user's file wins over the system's, and variables over both") {
  const TemporaryDirectory directory;
  UserFile file("[pull]\nthreads = 2\nstall_timeout = 20\n[registries.\"r.io\"]\ninsecure = true\n");
  file.sources().system_file = directory.write(
      "system.toml",
      "[pull]\nthreads = 1\nstall_timeout = 10\ncompression_level = 9\n[registries.\"r.io\"]\nplain_http = true\n");
  file.sources().environment["MLCTR_PULL_THREADS"] = "3";
  file.sources().environment["MLCTR_GC_LAYER_CACHE"] = "10GB";
  file.sources().environment["MLCTR_EXTRA_STORES"] = "/a::/b:";
  file.sources().environment["MLCTR_PULL_COMPRESSION_LEVEL"] = "";
  const Configuration configuration = file.load();
  CHECK(configuration.threads == 3);
  CHECK(configuration.origins.at("pull.threads") == "MLCTR_PULL_THREADS");
  CHECK(configuration.stall_timeout == std::chrono::seconds(20));
  CHECK(configuration.origins.at("pull.stall_timeout") == file.place(3));
  CHECK(configuration.compression_level == 9);
  CHECK(configuration.layer_cache_bytes == 10'000'000'000);
  CHECK(configuration.extra_stores == std::vector<std::filesystem::path>{"/a", "/b"});
  CHECK(configuration.registries.at("r.io").insecure);
  CHECK(configuration.registries.at("r.io").plain_http);
}

TEST_CASE("an unknown key is refused with file, line and the nearest known one") {
  const UserFile mistyped("\n[pull]\nthread = 8\n");
  CHECK(mistyped.refusal().message == mistyped.place(3) + ": unknown setting 'pull.thread'");
  CHECK(mistyped.refusal().hint == "did you mean 'pull.threads'?");
  const UserFile section("[pul]\nthreads = 8\n");
  CHECK(contains(section.refusal().hint, "'pull.threads'"));
  const UserFile registry("[registries.\"r.io\"]\nmirror = []\n");
  CHECK(contains(registry.refusal().message, registry.place(2)));
  CHECK(registry.refusal().hint == "did you mean 'mirrors'?");
  const UserFile alien("frobnicate = 1\n");
  CHECK(contains(alien.refusal().hint, "mlctr config"));
}

TEST_CASE("a wrong type or value is refused with file, line, key and what it takes") {
  const auto check = [](const char* text, int line, std::string_view what) {
    CAPTURE(text);
    const UserFile file(text);
    const std::string message = file.refusal().message;
    CAPTURE(message);
    CHECK(message.starts_with(file.place(line) + ": "));
    CHECK(contains(message, what));
  };
  check("[pull]\nthreads = \"8\"\n", 2, "pull.threads: it must be an integer from 0");
  check("[pull]\nthreads = -1\n", 2, "-1 is not from 0");
  check("[pull]\nthreads = 4294967297\n", 2, "is not from 0");
  check("[pull]\ncompression_level = 23\n", 2, "is not from 1 to 22");
  check("[pull]\nmax_layer_bytes = \"lots\"\n", 2, "'lots' is no size");
  check("[pull]\nmax_layer_bytes = -5\n", 2, "can't be negative");
  check("[pull]\nmax_layer_bytes = 0\n", 2, "it must be 1 or more");
  check("[pull]\nmax_layer_entries = 0\n", 2, "0 is not from 1");
  check("[pull]\nparallel_downloads = 0\n", 2, "0 is not from 1 to 64");
  check("[pull]\nstall_timeout = 0\n", 2, "from 1 s");
  check("[pull]\nstall_timeout = 1.5\n", 2, "a fraction");
  check("store = \"images\"\n", 1, "'images' is not absolute");
  check("store = 5\n", 1, "a path in quotes");
  check("extra_stores = \"/a\"\n", 1, "a list of paths");
  check("extra_stores = [\"/a\", 5]\n", 1, "must be in quotes");
  check("pull = 5\n", 1, "unknown setting 'pull'");
  check("[pull.threads]\nx = 1\n", 1, "pull.threads");
  check("registries = 5\n", 1, "must be sections");
  check("[registries]\n\"r.io\" = true\n", 2, "must be a section");
  check("[registries.\"r.io\"]\nmirrors = [\"mirror.local\"]\n", 2, "https://");
  check("[registries.\"r.io\"]\nmirrors = [\"ftp://mirror.local\"]\n", 2, "https://");
  check("[registries.\"r.io\"]\nplain_http = \"yes\"\n", 2, "true or false");
}

TEST_CASE("hostile input: text that is no TOML is refused with file and line") {
  for (const char* text :
       {"[pull\nthreads = 8\n", "store = \n", "store = \"/a\nb\"\n", "\xff\xfe\n", "a = 1\na = 2\n"}) {
    CAPTURE(text);
    const UserFile file(text);
    CHECK(file.refusal().message.starts_with(file.place(0).substr(0, file.place(0).size() - 1)));
  }
  CHECK_THROWS_AS(UserFile("a = " + std::string(100'000, '[')).load(), Error);
  CHECK(contains(UserFile(std::string(2u << 20, '#')).refusal().message, "1 MiB"));
}

TEST_CASE("a variable's bad value names the variable") {
  const auto refusal = [](const char* name, const char* value) {
    UserFile file("");
    file.sources().environment[name] = value;
    return file.refusal();
  };
  CHECK(contains(refusal("MLCTR_PULL_THREADS", "many").message, "MLCTR_PULL_THREADS=many: it must be an integer"));
  CHECK(contains(refusal("MLCTR_PULL_THREADS", "8x").message, "an integer"));
  CHECK(contains(refusal("MLCTR_GC_LAYER_CACHE", "50Q").message, "MLCTR_GC_LAYER_CACHE=50Q: '50Q' is no size"));
  CHECK(refusal("MLCTR_PULL_THREAD", "8").hint == "did you mean MLCTR_PULL_THREADS?");
}

TEST_CASE("variables that are no settings are left alone") {
  UserFile file("");
  file.sources().environment["MLCTR_RUNTIME_DIR"] = "/run/x";
  file.sources().environment["MLCTR_CONTAINER_IMAGE"] = "python";
  CHECK_NOTHROW(file.load());
}

TEST_CASE("hostile input: a file that others could have written is refused") {
  UserFile file("[pull]\nthreads = 8\n");
  SUBCASE("world-writable") {
    REQUIRE(::chmod(file.sources().user_file.c_str(), 0666) == 0);
    CHECK(contains(file.refusal().message, "everyone may write"));
    CHECK(contains(file.refusal().hint, "chmod o-w"));
    file.sources().system_file = std::exchange(file.sources().user_file, {});
    CHECK(contains(file.refusal().message, "everyone may write"));
  }
  SUBCASE("another user's") {
    if (::chown(file.sources().user_file.c_str(), 12345, static_cast<gid_t>(-1)) != 0) {
      MESSAGE("skipped: run this as root");
      return;
    }
    CHECK(contains(file.refusal().message, "it belongs to user 12345"));
  }
  SUBCASE("a FIFO does not block") {
    const TemporaryDirectory directory;
    REQUIRE(::mkfifo((directory / "fifo").c_str(), 0600) == 0);
    file.sources().user_file = directory / "fifo";
    CHECK(contains(file.refusal().message, "is not a file"));
  }
}

TEST_CASE("what `mlctr config` lists is TOML that gives the same settings again") {
  UserFile file("store = \"/a \\\"b\\\\ c\"\nextra_stores = [\"/x\"]\n[pull]\nmax_layer_bytes = \"3MB\"\n");
  const Configuration configuration = file.load();
  std::string text;
  for (const SettingValue& value : list_settings(configuration)) {
    CHECK_FALSE(value.description.empty());
    text += value.key + " = " + value.value + "\n";
  }
  const UserFile again(text);
  const Configuration back = again.load();
  CHECK(back.store == configuration.store);
  CHECK(back.extra_stores == configuration.extra_stores);
  CHECK(back.max_layer_bytes == 3'000'000);
  CHECK(back.layer_cache_bytes == configuration.layer_cache_bytes);
  CHECK(back.stall_timeout == configuration.stall_timeout);
}

TEST_CASE("registries are listed with their own origins") {
  const UserFile file("[registries.\"localhost:5000\"]\nplain_http = true\n");
  const std::vector<SettingValue> values = list_settings(file.load());
  const auto find = [&](std::string_view key) {
    return *std::find_if(values.begin(), values.end(), [&](const SettingValue& value) { return value.key == key; });
  };
  CHECK(find("registries.\"localhost:5000\".plain_http").value == "true");
  CHECK(find("registries.\"localhost:5000\".plain_http").origin == file.place(2));
  CHECK(find("registries.\"localhost:5000\".insecure").origin == "default");
}

TEST_CASE("what CDI files may have run is the admin's to say, wherever else it stands") {
  UserFile file("[cdi]\nallowed_hooks = [\"/opt/hook\"]\n");
  const Thrown refused = file.refusal();
  CHECK(contains(refused.message, file.place(2) + ": cdi.allowed_hooks: only an admin can set this"));
  CHECK(contains(refused.hint, "/etc/mlctr/mlctr.toml"));
  UserFile variable("");
  variable.sources().environment["MLCTR_CDI_ALLOWED_HOOKS"] = "/opt/hook";
  CHECK(contains(variable.refusal().message, "MLCTR_CDI_ALLOWED_HOOKS=/opt/hook: only an admin can set this"));
  UserFile mistyped("");
  mistyped.sources().environment["MLCTR_CDI_ALLOWED_HOOK"] = "/opt/hook";
  CHECK(contains(mistyped.refusal().message, "unknown setting MLCTR_CDI_ALLOWED_HOOK"));
  UserFile systems("");
  std::swap(systems.sources().system_file, systems.sources().user_file);
  std::ofstream(systems.sources().system_file) << "[cdi]\nallowed_hooks = [\"/opt/hook\"]\n";
  CHECK(systems.load().cdi_allowed_hooks == std::vector<std::filesystem::path>{"/opt/hook"});
}
