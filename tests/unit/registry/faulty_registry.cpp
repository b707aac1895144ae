#include "faulty_registry.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sstream>

#include "base/process.hpp"
#include "tests/unit/source_directory.hpp"

extern char** environ;

namespace mlctr::test {
namespace {

std::pair<Fd, Fd> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) throw SysError("cannot make a pipe");
  return {Fd(ends[0]), Fd(ends[1])};
}

std::string read_line(int fd) {
  std::string line;
  char c = 0;
  while (::read(fd, &c, 1) == 1 && c != '\n') line += c;
  return line;
}

}  // namespace

Certificate make_certificate(const std::filesystem::path& directory, int days) {
  Certificate made{directory / "certificate.pem", directory / "key.pem"};
  const auto run = [](std::vector<std::string> arguments) {
    const ProcessResult result = run_process({.arguments = std::move(arguments), .standard_input = {}});
    if (result.exit_code != 0) throw Error("openssl: " + result.standard_error);
  };
  const std::string request = (directory / "request.pem").string();
  run({"openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj",
       "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", made.key.string(), "-out",
       request});
  run({"openssl", "x509", "-req", "-in", request, "-signkey", made.key.string(), "-copy_extensions", "copy", "-days",
       std::to_string(days), "-out", made.certificate.string()});
  return made;
}

FaultyRegistry::FaultyRegistry(std::vector<std::string> options, Channel channel)
    : scheme_(channel == Channel::tls ? "https" : "http") {
  std::vector<std::string> arguments = {"python3", source_directory() / "tests/servers/faulty_registry.py"};
  if (channel == Channel::tls) {
    const Certificate made = make_certificate(directory_.path(), 2);
    certificate_ = made.certificate;
    arguments.insert(arguments.end(), {"--tls", made.certificate.string(), made.key.string()});
  }
  arguments.insert(arguments.end(), options.begin(), options.end());
  spawn(std::move(arguments));
  transport_ = make_transport();
}

FaultyRegistry::~FaultyRegistry() {
  transport_.reset();
  input_.reset();
  if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
}

void FaultyRegistry::spawn(std::vector<std::string> arguments) {
  auto [child_input, input] = make_pipe();
  auto [output, child_output] = make_pipe();
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, child_input.get(), 0);
  posix_spawn_file_actions_adddup2(&actions, child_output.get(), 1);
  const int failure = ::posix_spawnp(&pid_, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) throw SysError("cannot run python3", failure);
  child_output.reset();
  input_ = std::move(input);
  const json ports = json::parse(read_line(output.get()));
  port_ = ports.at("port");
  storage_port_ = ports.at("storage_port");
}

std::unique_ptr<Transport> FaultyRegistry::make_transport(ProgressBoard* board, TransportSettings settings) const {
  settings.first_backoff = std::chrono::milliseconds(1);
  if (!settings.host_settings && !certificate_.empty()) {
    settings.host_settings = [ca = certificate_.string()](const std::string&) {
      HostSettings host;
      host.ca_file = ca;
      return host;
    };
  }
  return make_curl_transport(std::move(settings), board);
}

json FaultyRegistry::control(const std::string& action, const std::string& body) {
  HttpRequest request;
  request.method = "POST";
  request.url = origin() + "/_control/" + action;
  request.headers = {{"Content-Type", "application/vnd.oci.image.manifest.v1+json"}};
  request.body = body;
  const HttpResponse response = transport_->perform(request, {});
  if (response.status != 200) throw Error(fmt::format("the faulty registry answers {} to {}", response.status, action));
  return json::parse(response.body);
}

Descriptor FaultyRegistry::add_blob(const std::string& bytes) {
  const json added = control("blob", bytes);
  return {"application/octet-stream", Digest::parse(added.at("digest").get<std::string>()), added.at("size"), {}};
}

Descriptor FaultyRegistry::add_random_blob(std::uint64_t bytes, int seed) {
  const json added = control("random-blob", json{{"bytes", bytes}, {"seed", seed}}.dump());
  return {"application/octet-stream", Digest::parse(added.at("digest").get<std::string>()), added.at("size"), {}};
}

Digest FaultyRegistry::add_manifest(const std::string& repository, const std::string& tag, const std::string& body) {
  const json added = control("manifest/" + repository + ":" + tag, body);
  return Digest::parse(added.at("digest").get<std::string>());
}

std::vector<json> FaultyRegistry::log() {
  HttpRequest request;
  request.url = origin() + "/_control/log";
  std::istringstream lines(transport_->perform(request, {}).body);
  std::vector<json> entries;
  for (std::string line; std::getline(lines, line);) entries.push_back(json::parse(line));
  return entries;
}

std::size_t FaultyRegistry::count(const std::string& key, const json& value) {
  std::size_t found = 0;
  for (const json& entry : log()) {
    if (entry.at(key) == value) ++found;
  }
  return found;
}

}  // namespace mlctr::test
