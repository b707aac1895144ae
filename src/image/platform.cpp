#include "image/platform.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/ascii.hpp"
#include "base/error.hpp"
#include "base/printable.hpp"

namespace mlctr {
namespace {

struct Alias {
  std::string_view name, architecture, variant;
};

// What uname, Debian and people call the architectures that Go (and so every registry) names differently.
constexpr std::array k_aliases{Alias{"x86_64", "amd64", ""},
                               Alias{"x86-64", "amd64", ""},
                               Alias{"x64", "amd64", ""},
                               Alias{"aarch64", "arm64", ""},
                               Alias{"armhf", "arm", "v7"},
                               Alias{"armel", "arm", "v6"},
                               Alias{"armv5l", "arm", "v5"},
                               Alias{"armv5tel", "arm", "v5"},
                               Alias{"armv6l", "arm", "v6"},
                               Alias{"armv7l", "arm", "v7"},
                               Alias{"armv8l", "arm", "v8"},
                               Alias{"i386", "386", ""},
                               Alias{"i486", "386", ""},
                               Alias{"i586", "386", ""},
                               Alias{"i686", "386", ""},
                               Alias{"ppc64el", "ppc64le", ""},
                               Alias{"powerpc64le", "ppc64le", ""},
                               Alias{"loongarch64", "loong64", ""},
                               Alias{"mips64el", "mips64le", ""}};

constexpr std::array<std::string_view, 13> k_architectures{"386",     "amd64",   "arm",      "arm64",  "loong64",
                                                           "mips",    "mips64",  "mips64le", "mipsle", "ppc64",
                                                           "ppc64le", "riscv64", "s390x"};

// "8" and "armv8" for "v8", as some indexes have it.
std::string normalize_variant(std::string_view text) {
  std::string variant = lowered(text);
  if (variant.starts_with("armv")) variant.erase(0, 3);
  if (!variant.empty() && is_digit(variant.front())) variant.insert(0, "v");
  if (variant.ends_with(".0")) variant.resize(variant.size() - 2);
  return variant;
}

void normalize_architecture(Platform& platform) {
  platform.architecture = lowered(platform.architecture);
  platform.variant = normalize_variant(platform.variant);
  const auto alias = std::ranges::find(k_aliases, platform.architecture, &Alias::name);
  if (alias == k_aliases.end()) return;
  platform.architecture = alias->architecture;
  if (!alias->variant.empty()) platform.variant = alias->variant;
}

// The form in which equal platforms are equal: the variant that goes without saying is written out.
Platform canonical(Platform platform) {
  platform.os = lowered(platform.os);
  normalize_architecture(platform);
  if (platform.variant.empty()) {
    if (platform.architecture == "amd64") platform.variant = "v1";
    if (platform.architecture == "arm64") platform.variant = "v8";
    if (platform.architecture == "arm") platform.variant = "v7";
  }
  if (platform.architecture == "386") platform.variant.clear();
  return platform;
}

struct Runnable {
  std::string architecture, variant;
};

// "v8.2" -> 8, 2. Absent for anything else.
struct Version {
  int major = 0, minor = 0;
};
std::optional<Version> parse_version(std::string_view variant) {
  const auto digit = [&](std::size_t i) { return is_digit(variant[i]); };
  if ((variant.size() != 2 && variant.size() != 4) || variant[0] != 'v' || !digit(1)) return std::nullopt;
  if (variant.size() == 2) return Version{variant[1] - '0', 0};
  if (variant[2] != '.' || !digit(3)) return std::nullopt;
  return Version{variant[1] - '0', variant[3] - '0'};
}

void append_older(std::vector<Runnable>& list, std::string_view architecture, int newest, int oldest) {
  for (int version = newest; version >= oldest; --version) {
    list.push_back({std::string(architecture), fmt::format("v{}", version)});
  }
}

void append_arm64(std::vector<Runnable>& list, int major, int newest_minor) {
  for (int minor = newest_minor; minor >= 0; --minor) {
    list.push_back({"arm64", minor == 0 ? fmt::format("v{}", major) : fmt::format("v{}.{}", major, minor)});
  }
}

// Everything that runs on `wanted`, best first (containerd/platforms, compare.go: platformVector).
std::vector<Runnable> runnable_on(const Platform& wanted) {
  std::vector<Runnable> list{{wanted.architecture, wanted.variant}};
  const std::optional<Version> version = parse_version(wanted.variant);
  if (!version) return list;
  if (wanted.architecture == "amd64") {
    append_older(list, "amd64", version->major - 1, 1);
    list.push_back({"386", ""});
  } else if (wanted.architecture == "arm") {
    append_older(list, "arm", version->major - 1, 5);
  } else if (wanted.architecture == "arm64" && version->major >= 8) {
    list.clear();  // "v8.0" and "v8" are one: start from the canonical form
    append_arm64(list, version->major, version->minor);
    // ARMv9.x has everything of ARMv8.(x+5).
    if (version->major == 9) append_arm64(list, 8, std::min(version->minor + 5, 9));
    append_older(list, "arm", 8, 5);
  }
  return list;
}

std::vector<std::string> split_slashes(std::string_view text) {
  std::vector<std::string> parts;
  for (std::size_t slash = text.find('/'); slash != std::string_view::npos; slash = text.find('/')) {
    parts.emplace_back(text.substr(0, slash));
    text.remove_prefix(slash + 1);
  }
  parts.emplace_back(text);
  return parts;
}

bool is_known_architecture(std::string_view name) {
  const std::string lower = lowered(name);
  return std::ranges::find(k_architectures, lower) != k_architectures.end() ||
         std::ranges::find(k_aliases, lower, &Alias::name) != k_aliases.end();
}

// What may go into a message or a path as it stands.
bool is_word(std::string_view text) {
  return !text.empty() && text.size() <= 32 &&
         std::ranges::all_of(text, [](char c) { return is_alphanumeric(c) || c == '.' || c == '-' || c == '_'; });
}

}  // namespace

Platform Platform::host() {
  utsname machine{};
  if (::uname(&machine) != 0) throw SysError("cannot ask the kernel for this machine's architecture");
  // No amd64 level, whatever this processor has: an image pulled on one node must run on every other.
  Platform platform{"linux", static_cast<const char*>(machine.machine), "", ""};
  normalize_architecture(platform);
  return platform;
}

Platform Platform::parse(std::string_view text) {
  const auto fail = [&](std::string_view why) {
    throw UsageError(fmt::format("invalid platform '{}': {}", printable(text), why),
                     "write an architecture like amd64, arm64, arm/v7 or ppc64le, or OS/ARCHITECTURE[/VARIANT]");
  };
  std::vector<std::string> parts = split_slashes(text);
  // "arm64/v8" starts with an architecture, "linux/arm64" with an operating system.
  if (is_known_architecture(parts.front())) parts.insert(parts.begin(), "linux");
  if (parts.size() == 1) fail("it names no architecture that is known");
  if (parts.size() > 3) fail("it has too many parts");
  for (const std::string& part : parts) {
    if (!is_word(part)) fail("a part is empty or has a character that no platform has");
  }
  if (!is_known_architecture(parts[1])) fail(fmt::format("'{}' is no architecture that is known", parts[1]));
  Platform platform{lowered(parts[0]), parts[1], parts.size() == 3 ? parts[2] : "", ""};
  normalize_architecture(platform);
  return platform;
}

std::string Platform::to_string() const {
  std::string text = fmt::format("{}/{}", os, architecture);
  if (!variant.empty()) text += "/" + variant;
  return text;
}

int platform_score(const Platform& wanted, const Platform& offered) {
  // 100 down by one for each step away from the best; the longest list has 22 steps.
  const Platform want = canonical(wanted);
  const Platform offer = canonical(offered);
  if (want.os != offer.os) return 0;
  const std::vector<Runnable> runnable = runnable_on(want);
  const auto found = std::ranges::find_if(runnable, [&](const Runnable& candidate) {
    return candidate.architecture == offer.architecture && candidate.variant == offer.variant;
  });
  return found == runnable.end() ? 0 : 100 - static_cast<int>(found - runnable.begin());
}

}  // namespace mlctr
