#include "cli/progress_display.hpp"

#include <fmt/format.h>

#include <optional>

#include "base/printable.hpp"
#include "base/thread.hpp"
#include "cli/live_screen.hpp"
#include "cli/progress_frame.hpp"
#include "cli/progress_line.hpp"
#include "cli/progress_sampler.hpp"
#include "cli/terminal.hpp"

namespace mlctr::cli {

using Clock = RateMeter::Clock;

class ProgressDisplay::View {
 public:
  virtual ~View() = default;
  virtual void show(const ProgressSnapshot& snapshot, const std::vector<std::string>& notes) = 0;
  /// The action has ended: what must not be lost of it.
  virtual void finish(const ProgressSnapshot& snapshot, const std::vector<std::string>& notes) = 0;
};

class ProgressDisplay::LiveView : public View {
 public:
  explicit LiveView(const DisplayOptions& options) : options_(options), screen_(narrow_lines()) {
    cursor_.emplace(options.fd, [this] { return screen_.clear(terminal_size(options_.fd).columns); });
  }

  void show(const ProgressSnapshot& snapshot, const std::vector<std::string>& notes) override {
    const auto lock = drawing_lock();
    std::move(notes.begin(), notes.end(), std::back_inserter(held_notes_));
    has_notes_ = has_notes_ || !notes.empty();
    if (!is_foreground(options_.fd)) return;  // after ^Z and bg: the terminal is another's
    const TerminalSize size = terminal_size(options_.fd);
    write_to_terminal(options_.fd, std::string(HiddenCursor::k_hide) +
                                       screen_.repaint(held_notes_, lines(snapshot, size), size.columns));
    held_notes_.clear();
  }

  void finish(const ProgressSnapshot&, const std::vector<std::string>& notes) override {
    const auto lock = drawing_lock();
    std::move(notes.begin(), notes.end(), std::back_inserter(held_notes_));
    std::string last = screen_.clear(terminal_size(options_.fd).columns);
    for (const std::string& note : held_notes_) last += note + "\n";
    if (is_foreground(options_.fd)) write_to_terminal(options_.fd, last);
    cursor_.reset();
  }

 private:
  std::vector<StyledLine> lines(const ProgressSnapshot& snapshot, TerminalSize size) const {
    const FrameStyle style{.size = size, .glyphs = terminal_glyphs(), .colour = terminal_colour(options_.fd)};
    if (!snapshot.items.empty()) return render_frame(snapshot, style);
    return {render_opening(options_.action + (has_notes_ ? ": waiting" : ": looking up the image"),
                           Clock::now() - started_, style)};
  }

  DisplayOptions options_;
  LiveScreen screen_;
  std::optional<HiddenCursor> cursor_;
  std::vector<std::string> held_notes_;
  bool has_notes_ = false;  // before the first layer they tell of waits: for another pull, for a registry
  Clock::time_point started_ = Clock::now();
};

// A log: one line when the work is known, one every few seconds while it lasts.
class ProgressDisplay::PlainView : public View {
 public:
  explicit PlainView(const DisplayOptions& options) : options_(options) {}

  void show(const ProgressSnapshot& snapshot, const std::vector<std::string>& notes) override {
    // Layers are added one by one: the first line waits until no more come.
    const bool is_complete = snapshot.layers == layers_seen_;
    layers_seen_ = snapshot.layers;
    if (is_complete) say_start(snapshot);
    for (const std::string& note : notes) say(note);
    // Until there are layers a line would only say the same again; what a wait is for, its note has said.
    const bool is_hushed = options_.is_hushed != nullptr && *options_.is_hushed;
    const bool is_news = !snapshot.items.empty() || !(has_spoken_ || is_hushed);
    if (is_news && Clock::now() - last_line_ >= options_.line_interval) say(progress_line(snapshot));
  }

  void finish(const ProgressSnapshot& snapshot, const std::vector<std::string>& notes) override {
    say_start(snapshot);
    for (const std::string& note : notes) say(note);
  }

 private:
  // Once, and only where there is something to do.
  void say_start(const ProgressSnapshot& snapshot) {
    if (has_started_ || snapshot.layers == snapshot.layers_reused) return;
    has_started_ = true;
    say(start_line(snapshot));
  }

  // One write a line, so that lines of several processes in one log stay whole.
  void say(const std::string& text) {
    write_to_terminal(options_.fd, fmt::format("{}: {}\n", options_.action, text));
    last_line_ = Clock::now();
    has_spoken_ = true;
  }

  DisplayOptions options_;
  bool has_started_ = false;
  bool has_spoken_ = false;
  std::size_t layers_seen_ = 0;
  Clock::time_point last_line_ = Clock::now();
};

std::unique_ptr<ProgressDisplay::View> ProgressDisplay::make_view(const DisplayOptions& options) {
  if (options.verbosity == Verbosity::quiet) return nullptr;
  if (is_drawable(options.fd)) return std::make_unique<LiveView>(options);
  return std::make_unique<PlainView>(options);
}

ProgressDisplay::ProgressDisplay(ProgressBoard& board, DisplayOptions options)
    : board_(board), options_(std::move(options)), view_(make_view(options_)) {
  if (view_) thread_ = start_thread("show the progress", [this] { run(); });
}

ProgressDisplay::~ProgressDisplay() {
  if (!view_) return;
  {
    const std::lock_guard lock(mutex_);
    is_ended_ = true;
  }
  ended_.notify_one();
  thread_.join();
}

std::vector<std::string> ProgressDisplay::take_notes() {
  std::vector<std::string> notes = board_.take_notes();
  for (std::string& note : notes) note = printable(note);
  return notes;
}

void ProgressDisplay::run() {
  ProgressSampler sampler;
  const auto sample = [&] {
    ProgressSnapshot snapshot = sampler.sample(board_, Clock::now());
    snapshot.direction = options_.direction;
    return snapshot;
  };
  std::unique_lock lock(mutex_);
  // What takes no time needs no display: the first look comes after one interval.
  while (!ended_.wait_for(lock, options_.frame_interval, [this] { return is_ended_; })) {
    view_->show(sample(), take_notes());
  }
  view_->finish(sample(), take_notes());
}

}  // namespace mlctr::cli
