#include "app/build_source.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "base/error.hpp"
#include "base/file.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

constexpr const char* k_standard_input = "-";

std::string read_standard_input() {
  std::string text;
  std::array<char, 64u << 10> buffer;
  for (;;) {
    const ssize_t got = ::read(STDIN_FILENO, buffer.data(), buffer.size());
    if (got == 0) return text;
    if (got < 0 && errno != EINTR) throw SysError("cannot read standard input");
    if (got > 0) text.append(buffer.data(), static_cast<std::size_t>(got));
    if (text.size() > containerfile::k_max_file_bytes) throw Error("the Containerfile on standard input is too long");
  }
}

std::filesystem::path find_file(const BuildSourceRequest& request) {
  if (!request.file.empty()) return request.file;
  for (const char* name : {"Containerfile", "Dockerfile"}) {
    if (std::error_code error; std::filesystem::exists(request.directory / name, error))
      return request.directory / name;
  }
  throw Error(fmt::format("there is no Containerfile in {}", printable(request.directory.string(), 4096)),
              "-f FILE names another");
}

// The file's own goes before the context's.
containerfile::IgnorePatterns read_ignored(const std::filesystem::path& file, const std::filesystem::path& directory) {
  for (const auto& name : {std::filesystem::path(file.string() + ".containerignore"),
                           std::filesystem::path(file.string() + ".dockerignore"), directory / ".containerignore",
                           directory / ".dockerignore"}) {
    if (std::error_code error; std::filesystem::exists(name, error)) {
      return containerfile::IgnorePatterns::parse(read_file(name), name.string());
    }
  }
  return {};
}

}  // namespace

BuildSource read_build_source(const BuildSourceRequest& request) {
  Fd directory(::open(request.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!directory) {
    SysError error(fmt::format("cannot use {} as a build's context", printable(request.directory.string(), 4096)));
    error.add_hint("it is a directory of this machine; archives and repositories are none");
    throw error;
  }
  const bool is_standard_input = request.file == k_standard_input;
  const std::filesystem::path path = is_standard_input ? std::filesystem::path("standard input") : find_file(request);
  const std::string text = is_standard_input ? read_standard_input() : read_file(path, containerfile::k_max_file_bytes);

  BuildSource source;
  source.file = std::make_unique<containerfile::Containerfile>(containerfile::parse(text, path.filename().string()));
  const containerfile::BuildArguments arguments{.given = request.arguments,
                                                .build_platform = Platform::host(),
                                                .target_platform = request.platform,
                                                .target = request.target};
  source.globals = std::make_unique<containerfile::GlobalVariables>(*source.file, arguments);
  source.plan = build::plan_build(*source.file, *source.globals, request.target);
  source.context = std::make_unique<build::SourceTree>(
      std::move(directory), "the context",
      read_ignored(is_standard_input ? std::filesystem::path("Dockerfile") : path, request.directory));
  std::vector<containerfile::Warning> warnings = source.file->warnings;
  warnings.insert(warnings.end(), source.globals->warnings().begin(), source.globals->warnings().end());
  for (const auto& warning : warnings) source.warnings.push_back(to_string(warning, source.file->filename));
  for (const std::string& name : containerfile::undeclared_arguments(*source.file, arguments)) {
    source.warnings.push_back(fmt::format("--build-arg {}: no ARG of the file has that name", printable(name)));
  }
  return source;
}

}  // namespace mlctr
