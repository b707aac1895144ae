#include <fmt/format.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <optional>
#include <streambuf>

#include "base/printable.hpp"
#include "hooks/document.hpp"

namespace mlctr::hooks {
namespace {

constexpr std::size_t k_max_depth = 64;  // CDI has 6

std::size_t line_of(const YAML::Mark& mark) {
  return mark.line < 0 ? 0 : static_cast<std::size_t>(mark.line) + 1;
}

// Takes the parser's events, so that nothing is built of what we refuse.
class TreeBuilder : public YAML::EventHandler {
 public:
  DocumentNode take() { return std::move(root_); }

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    check(mark, "?", anchor);
    add({line_of(mark), std::monostate{}});
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    throw DocumentError(line_of(mark), "aliases are not taken here");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check(mark, tag, anchor);
    if (open_.empty() || open_.back().key || !is_map(open_.back().node)) {
      add({line_of(mark), DocumentScalar{value, tag == "!"}});
    } else {
      begin_member(line_of(mark), value);
    }
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    begin(mark, tag, anchor, {line_of(mark), std::vector<DocumentNode>{}});
  }
  void OnSequenceEnd() override { end(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    begin(mark, tag, anchor, {line_of(mark), std::vector<DocumentMember>{}});
  }
  void OnMapEnd() override { end(); }

 private:
  struct Open {
    DocumentNode node;
    std::optional<DocumentMember> key{};  // waits for its value
  };

  static bool is_map(const DocumentNode& node) {
    return std::holds_alternative<std::vector<DocumentMember>>(node.value);
  }

  // yaml-cpp's tags: "?" of a plain scalar or a collection, "!" of a quoted scalar, else what the document says.
  static void check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != YAML::NullAnchor) throw DocumentError(line_of(mark), "anchors are not taken here");
    if (!tag.empty() && tag != "?" && tag != "!") {
      throw DocumentError(line_of(mark), fmt::format("tags ({}) are not taken here", printable(tag)));
    }
  }

  void begin(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, DocumentNode node) {
    check(mark, tag, anchor);
    if (open_.size() == k_max_depth) throw DocumentError(line_of(mark), "nested too deeply");
    if (!open_.empty() && is_map(open_.back().node) && !open_.back().key) refuse_key(line_of(mark));
    open_.push_back({std::move(node)});
  }

  void end() {
    DocumentNode node = std::move(open_.back().node);
    open_.pop_back();
    add(std::move(node));
  }

  void begin_member(std::size_t line, const std::string& key) {
    const auto& members = std::get<std::vector<DocumentMember>>(open_.back().node.value);
    if (std::ranges::find(members, key, &DocumentMember::key) != members.end()) {
      throw DocumentError(line, fmt::format("{} is there twice", printable(key)));
    }
    open_.back().key = DocumentMember{key, line, {}};
  }

  void add(DocumentNode node) {
    if (open_.empty()) {
      root_ = std::move(node);
      return;
    }
    Open& parent = open_.back();
    if (auto* items = std::get_if<std::vector<DocumentNode>>(&parent.node.value)) {
      items->push_back(std::move(node));
      return;
    }
    if (!parent.key) refuse_key(node.line);
    parent.key->value = std::move(node);
    std::get<std::vector<DocumentMember>>(parent.node.value).push_back(std::move(*parent.key));
    parent.key.reset();
  }

  [[noreturn]] static void refuse_key(std::size_t line) {
    throw DocumentError(line, "a name of a field must be a word");
  }

  std::vector<Open> open_{};
  DocumentNode root_{};
};

// An istream of a text without a copy of it.
class TextBuffer : public std::streambuf {
 public:
  explicit TextBuffer(std::string_view text) {
    char* begin = const_cast<char*>(text.data());  // only ever read from
    setg(begin, begin, begin + text.size());
  }
};

}  // namespace

DocumentNode parse_document(std::string_view text) {
  TextBuffer buffer(text);
  std::istream input(&buffer);
  TreeBuilder tree;
  try {
    YAML::Parser parser(input);
    if (!parser.HandleNextDocument(tree)) throw DocumentError(0, "there is nothing in it");
    TreeBuilder second;
    if (parser.HandleNextDocument(second)) throw DocumentError(0, "there is a second document in it");
  } catch (const YAML::Exception& error) {
    throw DocumentError(line_of(error.mark), printable(error.msg));
  }
  return tree.take();
}

}  // namespace mlctr::hooks
