#include <fmt/format.h>

#include <algorithm>

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "containerfile/evaluate.hpp"
#include "containerfile/expand.hpp"
#include "containerfile/ports.hpp"
#include "containerfile/run_mount_option.hpp"

namespace mlctr::containerfile {
namespace {

constexpr std::size_t k_max_variable_bytes = 128u
                                             << 10;  // the kernel's MAX_ARG_STRLEN: nothing could be started with it

std::string_view name_in(std::string_view variable) {
  return variable.substr(0, variable.find('='));
}

std::string value_in(std::string_view variable) {
  const std::size_t equals = variable.find('=');
  return equals == std::string_view::npos ? std::string() : std::string(variable.substr(equals + 1));
}

std::string uppered_proxy(std::string_view name) {
  std::string upper(name);
  for (char& c : upper) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return upper;
}

}  // namespace

// Gives an instruction's words their values, one overload for each kind of body that has any.
class StageVariables::Evaluation {
 public:
  explicit Evaluation(StageVariables& variables) : variables_(variables) {}

  void operator()(Run& run) const {
    for (const Word& option : run.mount_options) {
      run.mounts.push_back(parse_mount(option, filename(), [&](const Word& word) { return value(word); }));
    }
  }

  void operator()(Copy& copy) const { (*this)(copy.transfer); }

  void operator()(Add& add) const {
    if (add.checksum) evaluate(*add.checksum);
    (*this)(add.transfer);
  }

  void operator()(Env& env) const {
    for (Assignment& variable : env.variables) evaluate(variable);  // all before any of them is set
    for (const Assignment& variable : env.variables) set(variable);
  }

  void operator()(Label& label) const {
    for (Assignment& one : label.labels) evaluate(one);
  }

  void operator()(Arg& arg) const {
    for (Declaration& declaration : arg.declarations) declare(declaration);
  }

  void operator()(Workdir& workdir) const { evaluate(workdir.path); }
  void operator()(User& user) const { evaluate(user.user); }
  void operator()(StopSignal& signal) const { evaluate(signal.signal); }

  void operator()(Volume& volume) const {
    for (Word& path : volume.paths) evaluate(path);
  }

  void operator()(Expose& expose) const {
    std::vector<Word> ports;
    for (const Word& word : expose.ports) {
      for (const std::string& text : expanded(word).words) add_ports(ports, {text, word.place});
    }
    expose.ports = std::move(ports);
  }

  // Nothing in these is for the builder: the shell has its own variables.
  void operator()(Shell&) const {}
  void operator()(Entrypoint&) const {}
  void operator()(Cmd&) const {}
  void operator()(Healthcheck&) const {}
  void operator()(OnBuild&) const {}
  void operator()(Maintainer&) const {}

 private:
  const std::string& filename() const { return variables_.globals_->file().filename; }

  Expanded expanded(const Word& word, const WordLexer::Options& options) const {
    Expanded result = expand(word, options, variables_.values_, filename());
    for (const Word& unset : result.unset) warn_unset(unset);
    return result;
  }
  Expanded expanded(const Word& word) const { return expanded(word, {.escape = variables_.globals_->file().escape}); }
  std::string value(const Word& word) const { return expanded(word).value; }
  void evaluate(Word& word) const { word.text = value(word); }

  void evaluate(Assignment& assignment) const {
    evaluate(assignment.name);
    evaluate(assignment.value);
  }

  void warn_unset(const Word& unset) const {
    const auto& declared = variables_.declared_;
    if (std::find(declared.begin(), declared.end(), unset.text) != declared.end()) return;
    std::string message = unset_message(unset.text, variables_.values_);
    if (variables_.globals_->values().contains(unset.text)) {
      message += fmt::format("; in a stage it takes a line \"ARG {}\"", printable(unset.text));
    }
    variables_.warnings_.push_back({unset.place, "UndefinedVar", std::move(message)});
  }

  void operator()(Transfer& transfer) const {
    if (transfer.owner) evaluate(*transfer.owner);
    if (transfer.mode) evaluate(*transfer.mode);
    for (Word& source : transfer.sources) evaluate(source);
    evaluate(transfer.destination);
    for (Heredoc& heredoc : transfer.contents) evaluate(heredoc);
  }

  // In a heredoc quotes are characters like any other, and the escape character is "\" whatever the directive says.
  void evaluate(Heredoc& heredoc) const {
    heredoc.content = content_of(heredoc);
    heredoc.tabs = LeadingTabs::kept;
    if (heredoc.variables == HeredocVariables::literal) return;
    const WordLexer::Options options{.quotes = WordLexer::Quotes::ordinary, .max_bytes = 4 * k_max_file_bytes};
    heredoc.content = expanded({heredoc.content, heredoc.place}, options).value;
    heredoc.variables = HeredocVariables::literal;
  }

  void check_variable(const Word& name, std::string_view value) const {
    if (name.text.empty()) throw SyntaxError(filename(), name.place, "the name of the variable is empty");
    if (name.text.find('\0') != std::string::npos || value.find('\0') != std::string_view::npos) {
      throw SyntaxError(filename(), name.place, "a variable can't hold a NUL byte");
    }
    if (name.text.size() + value.size() + 2 <= k_max_variable_bytes) return;
    throw SyntaxError(filename(), name.place,
                      fmt::format("{} is longer than {} bytes: no program can be started with it", printable(name.text),
                                  k_max_variable_bytes),
                      "put it into a file: COPY <<EOF /path");
  }

  void set(const Assignment& variable) const {
    check_variable(variable.name, variable.value.text);
    variables_.values_[variable.name.text] = variable.value.text;
    std::string text = variable.name.text + "=" + variable.value.text;
    auto& environment = variables_.environment_;
    const auto old = std::find_if(environment.begin(), environment.end(),
                                  [&](const std::string& one) { return name_in(one) == variable.name.text; });
    old == environment.end() ? environment.push_back(std::move(text)) : void(*old = std::move(text));
  }

  // The caller's value, else the file's, else the one from before the first FROM, else none.
  void declare(Declaration& declaration) const {
    const std::string& name = declaration.name.text;
    const GlobalVariables& globals = *variables_.globals_;
    const auto given = globals.given().find(name);
    const auto inherited = globals.values().find(name);
    if (given != globals.given().end()) {
      declaration.value = Word{given->second, declaration.name.place};
    } else if (declaration.value) {
      evaluate(*declaration.value);
    } else if (inherited != globals.values().end()) {
      declaration.value = Word{inherited->second, declaration.name.place};
    }
    if (declaration.value) {
      check_variable(declaration.name, declaration.value->text);
      variables_.values_[name] = declaration.value->text;
    }
    auto& declared = variables_.declared_;
    if (std::find(declared.begin(), declared.end(), name) == declared.end()) declared.push_back(name);
  }

  void add_ports(std::vector<Word>& ports, const Word& word) const {
    try {
      ExposedPorts exposed = parse_ports(word.text);
      for (std::string& port : exposed.ports) ports.push_back({std::move(port), word.place});
      if (!exposed.has_host_part) return;
      variables_.warnings_.push_back({word.place, "ExposeInvalidFormat",
                                      fmt::format("{}: EXPOSE has no host's address or port", printable(word.text))});
    } catch (const Error& error) {
      throw SyntaxError(filename(), word.place, error.message(), error.hint());
    }
  }

  StageVariables& variables_;
};

StageVariables::StageVariables(const GlobalVariables& globals, const std::vector<std::string>& environment)
    : globals_(&globals), environment_(environment) {
  for (const std::string& variable : environment) values_[std::string(name_in(variable))] = value_in(variable);
}

StageVariables StageVariables::continued() const {
  StageVariables next = *this;
  next.warnings_.clear();
  return next;
}

Instruction StageVariables::evaluate(const Instruction& instruction) {
  Instruction evaluated = instruction;
  std::visit(Evaluation(*this), evaluated.body);
  return evaluated;
}

std::vector<std::string> StageVariables::run_environment() const {
  std::map<std::string, std::string> values = values_;
  for (const auto& [name, value] : globals_->given()) {
    if (!is_proxy_variable(name)) continue;  // programs look for either case
    values[lowered(name)] = value;
    values[uppered_proxy(name)] = value;
  }
  std::vector<std::string> environment;
  for (const auto& [name, value] : values) environment.push_back(name + "=" + value);
  return environment;
}

std::vector<std::pair<std::string, std::string>> StageVariables::arguments() const {
  std::vector<std::pair<std::string, std::string>> arguments;
  for (const std::string& name : declared_) {
    const auto value = values_.find(name);
    arguments.emplace_back(name, value == values_.end() ? std::string() : value->second);
  }
  return arguments;
}

}  // namespace mlctr::containerfile
