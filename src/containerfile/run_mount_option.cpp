#include "containerfile/run_mount_option.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>

#include "base/ascii.hpp"
#include "base/printable.hpp"
#include "base/suggestion.hpp"
#include "containerfile/byte_size.hpp"
#include "containerfile/csv_fields.hpp"
#include "containerfile/word_lexer.hpp"

namespace mlctr::containerfile {
namespace {

constexpr std::array<std::string_view, 14> k_keys{"type",      "from", "source",   "target",  "readonly",
                                                  "readwrite", "id",   "required", "sharing", "size",
                                                  "mode",      "uid",  "gid",      "env"};

std::string_view canonical(std::string_view key) {
  if (key == "src") return "source";
  if (key == "dst" || key == "destination") return "target";
  if (key == "ro") return "readonly";
  if (key == "rw") return "readwrite";
  return key;
}

struct Field {
  std::string key;  ///< canonical
  std::optional<Word> value;
  Place place;
};

std::vector<Field> fields_of(const Word& option, std::string_view filename) {
  std::vector<Field> fields;
  for (const Word& text : csv_fields(option, filename)) {
    const std::size_t equals = text.text.find('=');
    Field field{std::string(canonical(lowered(text.text.substr(0, equals)))), std::nullopt, text.place};
    if (equals != std::string::npos) {
      field.value = Word{text.text.substr(equals + 1), text.place};
      field.value->place.column += static_cast<std::uint32_t>(equals + 1);
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

// One mount being read: every key once, the last one counts.
class MountReader {
 public:
  MountReader(const Word& option, std::string_view filename, const ExpandWord& expand)
      : filename_(filename), place_(option.place) {
    for (Field& field : fields_of(option, filename)) {
      check_key(field);
      if (field.value) field.value->text = expand(*field.value);
      fields_[field.key] = std::move(field);
    }
  }

  RunMount read() const {
    const std::string type = lowered(text("type", "bind"));
    if (type == "bind") return bind();
    if (type == "cache") return cache();
    if (type == "tmpfs") return tmpfs();
    if (type == "secret") return secret();
    if (type == "ssh") {
      fail("type", "type=ssh needs an agent's socket, which this build doesn't pass on",
           "pass the key as a secret: --mount=type=secret,id=ssh_key");
    }
    const std::string meant = nearest(type, {"bind", "cache", "tmpfs", "secret"});
    fail("type", fmt::format("\"{}\" is no type of mount", printable(type)),
         meant.empty() ? "known are bind, cache, tmpfs and secret" : fmt::format("did you mean type={}?", meant));
  }

 private:
  void check_key(const Field& field) const {
    if (std::find(k_keys.begin(), k_keys.end(), field.key) == k_keys.end()) {
      const std::string meant = nearest(field.key, {k_keys.begin(), k_keys.end()});
      throw SyntaxError(filename_, field.place, fmt::format("a mount has no option \"{}\"", printable(field.key)),
                        meant.empty() ? fmt::format("known are {}", fmt::join(k_keys, ", "))
                                      : fmt::format("did you mean {}?", meant));
    }
    const bool is_flag = field.key == "readonly" || field.key == "readwrite" || field.key == "required";
    if (!field.value && !is_flag) {
      throw SyntaxError(filename_, field.place, fmt::format("no value after {}", field.key),
                        fmt::format("write {}=VALUE", field.key));
    }
    if (field.key == "from" && field.value->text.find('$') < field.value->text.size() - 1) {
      throw SyntaxError(filename_, field.value->place, "from= can't have variables",
                        "name a stage there: FROM ${IMAGE} AS tools, then from=tools");
    }
  }

  const Field* find(std::string_view key) const {
    const auto field = fields_.find(key);
    return field == fields_.end() ? nullptr : &field->second;
  }

  std::string text(std::string_view key, std::string_view otherwise = {}) const {
    const Field* field = find(key);
    return field != nullptr && field->value ? field->value->text : std::string(otherwise);
  }

  [[noreturn]] void fail(std::string_view key, std::string_view what, std::string hint = {}) const {
    const Field* field = find(key);
    throw SyntaxError(filename_, field == nullptr ? place_ : field->place, what, std::move(hint));
  }

  void allow(std::string_view type, std::initializer_list<std::string_view> keys) const {
    for (const auto& [key, field] : fields_) {
      const bool is_known = key == "type" || std::find(keys.begin(), keys.end(), key) != keys.end();
      if (!is_known) fail(key, fmt::format("{} means nothing for type={}", key, type));
    }
  }

  // Go's strconv.ParseBool.
  bool is_set(std::string_view key, bool otherwise) const {
    const Field* field = find(key);
    if (field == nullptr) return otherwise;
    if (!field->value) return true;
    const std::string& value = field->value->text;
    for (const std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"}) {
      if (value == yes) return true;
    }
    for (const std::string_view no : {"0", "f", "F", "false", "FALSE", "False"}) {
      if (value == no) return false;
    }
    fail(key, fmt::format("{}={} is neither true nor false", key, printable(value)));
  }

  MountAccess access(MountAccess otherwise) const {
    const bool is_writable = is_set("readwrite", otherwise == MountAccess::read_write);
    const bool is_read_only = is_set("readonly", !is_writable);
    return is_read_only ? MountAccess::read_only : MountAccess::read_write;
  }

  std::optional<std::uint32_t> number(std::string_view key, int base) const {
    const Field* field = find(key);
    if (field == nullptr) return std::nullopt;
    const std::string& value = field->value->text;
    std::uint32_t result = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), result, base);
    if (error != std::errc() || end != value.data() + value.size()) {
      fail(key, fmt::format("{}={} is no {} number", key, printable(value), base == 8 ? "octal" : "whole"));
    }
    return result;
  }

  BindMount bind() const {
    allow("bind", {"from", "source", "target", "readonly", "readwrite"});
    return {text("from"), text("source"), text("target"), access(MountAccess::read_only)};
  }

  CacheMount cache() const {
    allow("cache", {"from", "source", "target", "readonly", "readwrite", "id", "sharing", "mode", "uid", "gid"});
    CacheMount mount{.id = text("id"),
                     .target = text("target"),
                     .from = text("from"),
                     .source = text("source"),
                     .sharing = sharing(),
                     .access = access(MountAccess::read_write),
                     .mode = number("mode", 8),
                     .user = number("uid", 10),
                     .group = number("gid", 10)};
    if (mount.target.empty()) fail("target", "a cache needs a target", "add target=DIRECTORY");
    if (mount.id.empty()) mount.id = std::filesystem::path(mount.target).lexically_normal().string();
    if (mount.id.size() > 1 && mount.id.ends_with('/')) mount.id.pop_back();
    return mount;
  }

  CacheSharing sharing() const {
    const std::string value = lowered(text("sharing", "shared"));
    if (value == "shared") return CacheSharing::shared;
    if (value == "private") return CacheSharing::privately;
    if (value == "locked") return CacheSharing::locked;
    const std::string meant = nearest(value, {"shared", "private", "locked"});
    fail("sharing", fmt::format("sharing={} is not known", printable(value)),
         meant.empty() ? "known are shared, private and locked" : fmt::format("did you mean sharing={}?", meant));
  }

  TmpfsMount tmpfs() const {
    allow("tmpfs", {"target", "size", "readwrite", "readonly"});
    if (access(MountAccess::read_write) == MountAccess::read_only) fail("readonly", "a tmpfs is writable");
    TmpfsMount mount{text("target"), 0};
    if (mount.target.empty()) fail("target", "a tmpfs needs a target", "add target=DIRECTORY");
    if (find("size") == nullptr) return mount;
    const auto size = parse_byte_size(text("size"));
    if (!size) fail("size", fmt::format("size={} is no size", printable(text("size"))), "for example size=512m");
    mount.size_bytes = *size;
    return mount;
  }

  SecretMount secret() const {
    allow("secret", {"id", "source", "target", "required", "mode", "uid", "gid", "env", "readonly"});
    if (find("id") != nullptr && find("source") != nullptr) fail("source", "a secret has an id or a source, not both");
    SecretMount mount{.id = text("id", text("source")),
                      .target = text("target"),
                      .variable = std::nullopt,
                      .need = is_set("required", false) ? Need::required : Need::optional,
                      .mode = number("mode", 8),
                      .user = number("uid", 10),
                      .group = number("gid", 10)};
    const std::string_view target = std::string_view(mount.target);
    if (mount.id.empty()) mount.id = target.substr(target.rfind('/') + 1);
    if (mount.id.empty())
      fail("id", "a secret without an id", "add id=NAME, and give it with --secret id=NAME,src=FILE");
    if (find("env") != nullptr) mount.variable = text("env").empty() ? mount.id : text("env");
    if (mount.target.empty() && !mount.variable) {
      mount.target = "/run/secrets/" + mount.id.substr(mount.id.rfind('/') + 1);
    }
    return mount;
  }

  std::string_view filename_;
  Place place_;
  std::map<std::string, Field, std::less<>> fields_;
};

}  // namespace

RunMount parse_mount(const Word& option, std::string_view filename, const ExpandWord& expand) {
  return MountReader(option, filename, expand).read();
}

std::optional<Word> mount_source(const Word& option) {
  std::optional<Word> source;
  for (const Field& field : fields_of(option, {})) {
    if (field.key == "from" && field.value && !field.value->text.empty()) source = field.value;
  }
  return source;
}

void check_mount(const Word& option, std::string_view filename) {
  if (option.text.find('$') != std::string::npos) {
    for (const Field& field : fields_of(option, filename)) {
      if (field.key != "from" || !field.value) continue;
      MountReader({"from=" + field.value->text, field.place}, filename, [](const Word& word) { return word.text; });
    }
    return;
  }
  const WordLexer lexer({}, [](std::string_view) { return std::nullopt; });
  parse_mount(option, filename, [&](const Word& word) { return lexer.lex(word.text).value; });
}

}  // namespace mlctr::containerfile
