#include "build/stage_build.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>

#include "base/error.hpp"
#include "base/printable.hpp"
#include "build/build_plan.hpp"
#include "build/step_plan.hpp"
#include "runtime/binary_format.hpp"

namespace mlctr::build {
namespace {

using containerfile::Instruction;
using Clock = std::chrono::steady_clock;

// What is wrong at a line is told with the line.
template <class Action>
auto at_place(const BuildContext& context, const containerfile::Place& place, Action action) {
  try {
    return action();
  } catch (const containerfile::SyntaxError&) {
    throw;
  } catch (const Cancelled&) {
    throw;
  } catch (Error& error) {
    error.add_context(fmt::format("{}:{}", printable(context.globals.file().filename, 4096), place.line));
    throw;
  }
}

}  // namespace

struct StageBuild::Step {
  std::size_t number = 0;
  std::string label;
  std::string history;
  std::uint32_t line = 0;
  PlannedStep planned;
  Clock::time_point begun;
  std::optional<Lock> lock{};
  std::optional<StepProcess> process{};
  std::filesystem::path directory{};
};

StageBuild::StageBuild(BuildContext& context, std::size_t number) : context_(context), number_(number) {}

StageBuild::~StageBuild() {
  if (step_ && step_->process) step_->process->kill();
}

const containerfile::Stage& StageBuild::stage() const {
  return context_.globals.file().stages[number_];
}

StageBuild::State StageBuild::advance() {
  if (state_ == State::done || state_ == State::running) return state_;
  state_ = State::waiting;
  if (!document_ && !begin()) return state_;
  while (carry_on()) {
  }
  return state_;
}

// False while the stage that it starts from is not done.
bool StageBuild::begin() {
  return at_place(context_, stage().place, [&] {
    containerfile::GlobalVariables globals = context_.globals;  // as they are for every FROM
    const containerfile::StageBase from = globals.base_of(stage());
    const std::string& name = from.reference;
    if (const auto base = containerfile::find_stage(context_.globals.file(), name, number_)) {
      const StageBuild& other = *context_.stages.at(*base);
      if (!other.is_done()) return false;
      begin_with(other);
    } else if (name == "scratch") {
      document_.emplace(context_.platform);
      files_ = context_.images.at("scratch").files;
      variables_.emplace(context_.globals, std::vector<std::string>{});
    } else {
      begin_with(context_.images.at(PlannedImage{name, from.platform}.key()));
    }
    instructions_.insert(instructions_.end(), stage().instructions.begin(), stage().instructions.end());
    return true;
  });
}

void StageBuild::begin_with(const StageBuild& other) {
  document_ = other.document_;
  files_ = other.files_;
  base_layers_ = other.base_layers_;
  variables_.emplace(other.variables_->continued());
  add_triggers();
}

void StageBuild::begin_with(const ExternalImage& image) {
  document_.emplace(image.config_body);
  files_ = image.files;
  base_layers_ = image.layers;
  variables_.emplace(context_.globals, document_->values().environment);
  add_triggers();
}

void StageBuild::add_triggers() {
  for (const std::string& trigger : document_->take_triggers()) {
    instructions_.push_back(containerfile::parse_trigger(trigger, context_.globals.file().filename, stage().place));
  }
}

// Does the next instruction as far as that can be done now; false where it waits, runs, or was the last.
bool StageBuild::carry_on() {
  if (step_) return try_step();
  if (next_ == instructions_.size()) {
    tell_of_warnings();
    state_ = State::done;
    return false;
  }
  const Instruction& written = instructions_[next_];
  return at_place(context_, written.place, [&] { return perform(written); });
}

namespace {

// Instructions that change the configuration alone.
struct Configure {
  ImageDocument& document;

  bool operator()(const containerfile::Run&) const { return false; }
  bool operator()(const containerfile::Copy&) const { return false; }
  bool operator()(const containerfile::Add&) const { return false; }
  bool operator()(const containerfile::Workdir& workdir) const {
    document.set_working_directory(absolute_in_image(workdir.path.text, document));
    return false;
  }
  bool operator()(const containerfile::Env&) const { return true; }
  bool operator()(const containerfile::Arg&) const { return true; }
  template <class Other>
  bool operator()(const Other& other) const {
    document.apply(other);
    return true;
  }
};

}  // namespace

void StageBuild::check_runs_here() const {
  const Platform& platform = document_->values().platform;
  const std::string host = Platform::host().architecture;
  if (platform.architecture.empty() || platform.architecture == host ||
      runtime::can_run_architecture(platform.architecture, host)) {
    return;
  }
  throw Error(fmt::format("RUN in an image for {}: this machine is {}", printable(platform.to_string()), host),
              "an admin can make that run: apt install qemu-user-static binfmt-support. Or RUN in a stage FROM "
              "--platform=$BUILDPLATFORM, and COPY from that");
}

bool StageBuild::perform(const Instruction& written) {
  for (const auto& source : containerfile::sources_of(written)) {
    const auto stage = containerfile::find_stage(context_.globals.file(), source.text, number_);
    if (!stage) continue;
    if (!context_.stages.contains(*stage)) {
      throw Error(fmt::format("the stage {} is not built", printable(source.text)),
                  "an ONBUILD of the base image needs it: name it in a COPY --from of this stage as well");
    }
    if (!context_.stages.at(*stage)->is_done()) return false;
  }
  if (std::holds_alternative<containerfile::Run>(written.body)) check_runs_here();
  const Instruction instruction = variables_->evaluate(written);
  ++next_;
  const bool is_done = std::visit(Configure{*document_}, instruction.body);
  if (std::holds_alternative<containerfile::Env>(instruction.body)) {
    document_->set_environment(variables_->environment());
  }
  if (is_done) {
    document_->add_history(history_of(instruction), LayerMade::no);
    return true;
  }
  const StageView view{.files = files_,
                       .document = *document_,
                       .variables = *variables_,
                       .source =
                           [this](const std::string& name) {
                             if (const auto stage = containerfile::find_stage(context_.globals.file(), name, number_)) {
                               return context_.stages.at(*stage)->files();
                             }
                             const auto image = context_.images.find(name);
                             if (image == context_.images.end())
                               throw Error(fmt::format("no stage and no image {}", printable(name)));
                             return image->second.files;
                           },
                       .download = context_.download};
  auto planned = plan_step(instruction, view, context_.places);
  if (!planned) return true;
  step_ = std::make_unique<Step>(Step{.number = context_.steps_begun++,
                                      .label = label_of(instruction),
                                      .history = history_of(instruction),
                                      .line = written.place.line,
                                      .planned = std::move(*planned),
                                      .begun = Clock::now()});
  return try_step();
}

// Looks the step up, or starts it; false where it has to be waited for.
bool StageBuild::try_step() {
  const Digest& key = step_->planned.key;
  const auto find = [&]() -> bool {
    const auto known = context_.reuse == StepReuse::cached ? context_.cache.find(key) : std::nullopt;
    if (!known) return false;
    step_->lock.reset();
    end_step(known->layer ? std::optional(BuiltLayer{*known->layer, known->tar_bytes}) : std::nullopt, StepEnd::cached);
    return true;
  };
  if (find()) return true;
  if (context_.reuse == StepReuse::cached) {
    step_->lock = context_.cache.try_lock(key);
    if (!step_->lock) return false;  // another build, or another stage, does the same now
    if (find()) return true;
  }
  step_->begun = Clock::now();
  context_.watcher.started(step_->number, step_->label);
  step_->directory = context_.places.place / fmt::format("step-{}", step_->number);
  const auto show = [&] { return &tree_.show(files_, context_.places.store); };
  const bool is_first = !tree_.is_shown();
  step_->process =
      StepProcess::start(step_->planned.job, is_first ? nullptr : show(), context_.places, step_->directory);
  if (is_first) show();  // while the step runs, which does the same while it waits
  state_ = State::running;
  return false;
}

int StageBuild::output() const {
  return state_ == State::running ? step_->process->output().get() : -1;
}

std::optional<FailedStep> StageBuild::hear() {
  std::array<char, 64u << 10> buffer;
  const ssize_t got = ::read(output(), buffer.data(), buffer.size());
  if (got > 0) {
    context_.watcher.said(step_->number, {buffer.data(), static_cast<std::size_t>(got)});
    return std::nullopt;
  }
  const StepOutcome outcome = step_->process->finish();
  step_->process.reset();
  if (!outcome.message.empty() || outcome.exit_code) {
    context_.watcher.ended(step_->number, StepEnd::failed, Clock::now() - step_->begun);
    return FailedStep{.label = step_->label,
                      .message = outcome.message,
                      .hint = outcome.hint,
                      .line = step_->line,
                      .exit_code = outcome.exit_code,
                      .directory = step_->directory,
                      .below = step_->planned.job.below,
                      .config = document_->write({}, context_.places.time)};
  }
  context_.cache.put(step_->planned.key, {outcome.layer ? std::optional(outcome.layer->diff_id) : std::nullopt,
                                          outcome.layer ? outcome.layer->tar_bytes : 0});
  if (step_->lock) step_->lock->remove();
  end_step(outcome.layer, StepEnd::built);
  state_ = State::waiting;
  return std::nullopt;
}

void StageBuild::end_step(const std::optional<BuiltLayer>& layer, StepEnd end) {
  if (layer) files_.layers.push_back(*layer);
  document_->add_history(step_->history, layer ? LayerMade::yes : LayerMade::no);
  if (end == StepEnd::cached) context_.watcher.started(step_->number, step_->label);
  context_.watcher.ended(step_->number, end, Clock::now() - step_->begun);
  step_.reset();
}

void StageBuild::tell_of_warnings() {
  for (; warnings_told_ < variables_->warnings().size(); ++warnings_told_) {
    context_.watcher.note(
        containerfile::to_string(variables_->warnings()[warnings_told_], context_.globals.file().filename));
  }
}

std::string StageBuild::label_of(const Instruction& instruction) const {
  const std::string name = stage().name.empty() ? fmt::format("stage-{}", number_) : stage().name;
  const bool is_lone = context_.stages.size() == 1;
  return fmt::format("[{}{}/{}] {}", is_lone ? "" : name + " ", next_, instructions_.size(),
                     printable(instruction.text, 4096));
}

std::string StageBuild::history_of(const Instruction& instruction) const {
  const auto* run = std::get_if<containerfile::Run>(&instruction.body);
  if (run == nullptr) return instruction.text;
  std::string text = "RUN";
  const auto arguments = variables_->arguments();
  if (!arguments.empty()) {
    text += fmt::format(" |{}", arguments.size());
    for (const auto& [name, value] : arguments) text += fmt::format(" {}={}", name, value);
  }
  for (const std::string& word : run_command(*run, *document_)) text += " " + word;
  return text;
}

}  // namespace mlctr::build
