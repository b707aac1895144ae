#include "build/step_plan.hpp"

#include <fcntl.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "build/git_source.hpp"
#include "build/step_key.hpp"
#include "runtime/environment.hpp"

namespace mlctr::build {
namespace {

using containerfile::BindMount;
using containerfile::CacheMount;
using containerfile::SecretMount;
using containerfile::TmpfsMount;

constexpr std::string_view k_key_version = "1";  // another one where steps come to mean something else

// A heredoc that is all there is: "<<EOF", "<<-'EOF'".
bool is_heredoc_alone(const containerfile::Run& run) {
  if (run.command.heredocs.size() != 1 || run.command.words.size() != 1) return false;
  std::string text = run.command.words[0];
  std::erase_if(text, [](char c) { return c == ' ' || c == '\t' || c == '"' || c == '\''; });
  return text == "<<" + run.command.heredocs[0].name || text == "<<-" + run.command.heredocs[0].name;
}

// The shell reads the others itself: they follow the text, each up to its name.
std::string with_heredocs(const containerfile::Run& run) {
  std::string text = run.command.words.empty() ? "" : run.command.words[0];
  for (const containerfile::Heredoc& heredoc : run.command.heredocs) {
    text += "\n" + heredoc.content + heredoc.name;
  }
  return text;
}

// "#!/usr/bin/env python3 -u\n…" -> /usr/bin/env, "python3 -u".
std::vector<std::string> interpreter_of(std::string_view script) {
  std::string_view line = script.substr(2, script.find('\n') - 2);
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  const std::size_t space = line.find_first_of(" \t");
  std::vector<std::string> words{std::string(line.substr(0, space))};
  if (space != line.npos) {
    line.remove_prefix(space);
    line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
    if (!line.empty()) words.emplace_back(line);
  }
  return words;
}

std::string script_of(const containerfile::Run& run) {
  if (!is_heredoc_alone(run)) return "";
  std::string content = containerfile::content_of(run.command.heredocs[0]);
  return content.starts_with("#!") ? content : "";
}

bool is_url(std::string_view source) {
  return source.starts_with("http://") || source.starts_with("https://");
}

class StepPlanner {
 public:
  StepPlanner(const containerfile::Instruction& instruction, const StageView& view, const BuildPlaces& places)
      : view_(view), places_(places), key_("step") {
    key_.add(k_key_version).add(containerfile::keyword_of(instruction));
    key_.add(identity_of(view.files).to_string()).add_number(places.time);
  }

  PlannedStep plan(const containerfile::Run& run) {
    RunStep step{.command = run_command(run, view_.document),
                 .environment = environment(),
                 .directory = absolute_in_image("", view_.document),
                 .network = run.network,
                 .mounts = run.mounts,
                 .script = script_of(run)};
    key_.add("command");
    add_all(step.command);
    key_.add("environment");
    add_all(step.environment);
    key_.add(step.directory).add_number(static_cast<std::uint64_t>(step.network)).add(step.script);
    key_.add(view_.document.values().user).add_number(run.mounts.size());
    StepJob job{.work = {}, .below = view_.files};
    for (const auto& mount : run.mounts) {
      step.mount_sources.push_back(std::visit([&](const auto& value) { return add_mount(value, job); }, mount));
    }
    job.work = std::move(step);
    return {std::move(job), key_.finish()};
  }

  PlannedStep plan(const containerfile::Copy& copy) {
    CopyStep step{.job = copy_job(copy.transfer, texts(copy.transfer.sources))};
    step.job.keeps_parents = copy.parents == containerfile::ParentNames::kept;
    StepJob job{.work = {}, .below = view_.files};
    add_copy(step, copy.from ? copy.from->text : "", job);
    job.work = std::move(step);
    return {std::move(job), key_.finish()};
  }

  PlannedStep plan(const containerfile::Add& add) {
    const std::string checksum = add.checksum ? add.checksum->text : "";
    const std::vector<std::string> sources = texts(add.transfer.sources);
    for (const std::string& source : sources) {
      if (const auto repository = parse_git_source(source)) return plan(add, source, *repository, checksum);
    }
    const auto are_urls = static_cast<std::size_t>(std::ranges::count_if(sources, is_url));
    if (are_urls > 0 && are_urls < sources.size()) {
      throw Error("ADD: files of the web and of the context in one instruction", "give each an ADD of its own");
    }
    if (!checksum.empty() && are_urls != 1) throw Error("ADD --checksum is for one file of the web, or one repository");
    CopyStep step{.job = copy_job(add.transfer, are_urls == 0 ? sources : std::vector<std::string>{"*"})};
    const bool unpacks = add.archives == containerfile::Archives::unpacked ||
                         (add.archives == containerfile::Archives::standard && are_urls == 0);
    if (unpacks) step.job.archives = ArchiveHandling::unpack;
    if (are_urls > 0) {
      if (!step.job.mode) step.job.mode = ModeChange::parse("600");
      step.downloads = view_.download(sources, checksum);
    }
    return add_step(std::move(step));
  }

  PlannedStep plan(const containerfile::Workdir&) {
    const DirectoryStep step{absolute_in_image("", view_.document), view_.document.values().user};
    key_.add(step.path).add(step.owner);
    return {{.work = step, .below = view_.files}, key_.finish()};
  }

 private:
  // What is in the repository's directory goes into the destination.
  PlannedStep plan(const containerfile::Add& add, const std::string& source, const GitSource& repository,
                   const std::string& checksum) {
    if (add.transfer.sources.size() + add.transfer.contents.size() > 1)
      throw Error("ADD: a git repository and something else in one instruction", "give each an ADD of its own");
    if (add.git_directory == containerfile::GitDirectory::kept)
      throw Error("ADD --keep-git-dir: what git keeps there differs with each fetch",
                  "RUN git clone, where it is needed");
    CopyStep step{.job = copy_job(add.transfer, {repository.directory})};
    step.job.kind = DestinationKind::directory;
    step.downloads = view_.download({source}, checksum);
    return add_step(std::move(step));
  }

  PlannedStep add_step(CopyStep step) {
    StepJob job{.work = {}, .below = view_.files};
    add_copy(step, "", job);
    job.work = std::move(step);
    return {std::move(job), key_.finish()};
  }

  static std::vector<std::string> texts(const std::vector<containerfile::Word>& words) {
    std::vector<std::string> found;
    for (const auto& word : words) found.push_back(word.text);
    return found;
  }

  void add_all(const std::vector<std::string>& words) {
    key_.add_number(words.size());
    for (const std::string& word : words) key_.add(word);
  }

  std::vector<std::string> environment() const {
    runtime::Environment environment;
    environment.set("PATH", std::string(runtime::k_default_path), "build");
    environment.set("HOME", "/root", "build");
    environment.set("SOURCE_DATE_EPOCH", fmt::format("{}", places_.time), "build");
    environment.set_entries(view_.variables.run_environment(), "build");
    return environment.entries();
  }

  CopyJob copy_job(const containerfile::Transfer& transfer, std::vector<std::string> sources) {
    CopyJob job{.sources = std::move(sources),
                .destination = absolute_in_image(transfer.destination.text, view_.document),
                .excludes = texts(transfer.excludes)};
    for (const auto& heredoc : transfer.contents) {
      job.contents.emplace_back(heredoc.name, containerfile::content_of(heredoc));
    }
    const std::string& destination = transfer.destination.text;
    const bool is_directory = destination.ends_with('/') || destination == "." || destination.ends_with("/.") ||
                              destination.empty() || job.sources.size() + job.contents.size() > 1;
    if (is_directory) job.kind = DestinationKind::directory;
    if (transfer.owner) job.owner = transfer.owner->text;
    if (transfer.mode) job.mode = ModeChange::parse(transfer.mode->text);
    return job;
  }

  void add_job(const CopyJob& job) {
    add_all(job.sources);
    key_.add(job.destination).add_number(static_cast<std::uint64_t>(job.kind));
    key_.add(job.owner ? "owner" : "no owner").add(job.owner.value_or(""));
    key_.add(job.mode ? job.mode->text() : "");
    add_all(job.excludes);
    key_.add_number(job.keeps_parents ? 1 : 0).add_number(static_cast<std::uint64_t>(job.archives));
  }

  void add_copy(CopyStep& step, const std::string& from, StepJob& job) {
    add_job(step.job);
    if (!from.empty()) {
      step.source = add_source(from, job);
      for (const auto& [name, content] : step.job.contents) key_.add(name).add(content);
      return;
    }
    if (!step.downloads.empty()) {
      const SourceTree tree(open_file(step.downloads, O_RDONLY | O_DIRECTORY), "what was downloaded");
      step.content = digest_sources(step.job, tree);
    } else {
      step.content = digest_sources(step.job, places_.context);
    }
    key_.add("content").add(step.content->to_string());
  }

  std::size_t add_source(const std::string& name, StepJob& job) {
    StageFiles files = view_.source(name);
    key_.add("from").add(identity_of(files).to_string());
    job.sources.push_back(std::move(files));
    return job.sources.size() - 1;
  }

  std::optional<std::size_t> add_mount(const BindMount& bind, StepJob& job) {
    key_.add("bind").add(bind.source).add(bind.target).add_number(static_cast<std::uint64_t>(bind.access));
    if (!bind.from.empty()) return add_source(bind.from, job);
    const CopyJob copy{.sources = {bind.source.empty() ? "." : bind.source}, .destination = "/files"};
    key_.add("context").add(digest_sources(copy, places_.context).to_string());
    return std::nullopt;
  }

  std::optional<std::size_t> add_mount(const CacheMount& cache, StepJob& job) {
    key_.add("cache").add(cache.id).add(cache.target).add(cache.source);
    key_.add_number(static_cast<std::uint64_t>(cache.sharing)).add_number(static_cast<std::uint64_t>(cache.access));
    if (cache.from.empty()) return std::nullopt;
    return add_source(cache.from, job);
  }

  std::optional<std::size_t> add_mount(const TmpfsMount& tmpfs, StepJob&) {
    key_.add("tmpfs").add(tmpfs.target).add_number(tmpfs.size_bytes);
    return std::nullopt;
  }

  // Never what it is.
  std::optional<std::size_t> add_mount(const SecretMount& secret, StepJob&) {
    key_.add("secret").add(secret.id).add(secret.target).add(secret.variable.value_or(""));
    key_.add_number(secret.variable ? 1 : 0).add_number(secret.mode.value_or(0400));
    return std::nullopt;
  }

  const StageView& view_;
  const BuildPlaces& places_;
  StepKey key_;
};

}  // namespace

std::string absolute_in_image(const std::string& path, const ImageDocument& document) {
  const std::string& directory = document.values().working_directory;
  std::string text = (std::filesystem::path("/") / directory / path).lexically_normal().string();
  if (text.ends_with("/") && text.size() > 1 && !path.ends_with('/')) text.pop_back();
  return text;
}

std::vector<std::string> run_command(const containerfile::Run& run, const ImageDocument& document) {
  if (run.command.form == containerfile::CommandForm::exec) return run.command.words;
  if (const std::string script = script_of(run); !script.empty()) {
    std::vector<std::string> words = interpreter_of(script);
    words.emplace_back(k_script_path);
    return words;
  }
  std::vector<std::string> words = document.shell();
  words.push_back(is_heredoc_alone(run) ? containerfile::content_of(run.command.heredocs[0]) : with_heredocs(run));
  return words;
}

std::optional<PlannedStep> plan_step(const containerfile::Instruction& instruction, const StageView& view,
                                     const BuildPlaces& places) {
  StepPlanner planner(instruction, view, places);
  if (const auto* run = std::get_if<containerfile::Run>(&instruction.body)) return planner.plan(*run);
  if (const auto* copy = std::get_if<containerfile::Copy>(&instruction.body)) return planner.plan(*copy);
  if (const auto* add = std::get_if<containerfile::Add>(&instruction.body)) return planner.plan(*add);
  if (const auto* workdir = std::get_if<containerfile::Workdir>(&instruction.body)) return planner.plan(*workdir);
  return std::nullopt;
}

}  // namespace mlctr::build
