// Tar archives byte by byte, so that tests can say what no tar program would write. POSIX.1-1988 ustar (pax(1)) and
// GNU's variants of it.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace mlctr::test {

struct TarMember {
  std::string name{};
  char type = '0';
  std::string content{};
  std::string link{};
  unsigned mode = 0644;
  std::uint64_t uid = 0, gid = 0;
  std::string mtime = "1000";  ///< octal, as in the header
  unsigned major = 0, minor = 0;
  std::string magic{
      "ustar\0"
      "00",
      8};
  std::string size{};  ///< octal; empty: the content's
};

class TarBuilder {
 public:
  TarBuilder& add(const TarMember& member) {
    std::string header(512, '\0');
    put(header, 0, member.name.substr(0, 100));
    put(header, 100, octal(member.mode, 7));
    put(header, 108, octal(member.uid, 7));
    put(header, 116, octal(member.gid, 7));
    put(header, 124, member.size.empty() ? octal(member.content.size(), 11) : member.size);
    put(header, 136, member.mtime);
    header[156] = member.type;
    put(header, 157, member.link.substr(0, 100));
    put(header, 257, member.magic);
    put(header, 329, octal(member.major, 7));
    put(header, 337, octal(member.minor, 7));
    return add_raw(header, member.content);
  }

  /// A header block whose checksum is still to be made, then content and padding.
  TarBuilder& add_raw(std::string header, std::string_view content) {
    put(header, 148, "        ");
    unsigned sum = 0;
    for (const char c : header) sum += static_cast<unsigned char>(c);
    put(header, 148, octal(sum, 6) + std::string("\0 ", 2));
    bytes_ += header;
    bytes_ += content;
    bytes_.append((512 - content.size() % 512) % 512, '\0');
    return *this;
  }

  /// Pax records for the next member: {"path=x", "SCHILY.xattr.user.a=1"}.
  TarBuilder& pax(std::initializer_list<std::string> records) {
    std::string text;
    for (const std::string& record : records) {
      std::size_t length = record.size() + 3;
      while (std::to_string(length).size() + record.size() + 2 > length) ++length;
      text += std::to_string(length) + " " + record + "\n";
    }
    return add({.name = "pax", .type = 'x', .content = text});
  }

  /// GNU's long name ('L') or link target ('K') for the next member.
  TarBuilder& gnu_long(char type, const std::string& text) {
    return add({.name = "././@LongLink", .type = type, .content = text + '\0', .magic = gnu_magic()});
  }

  static std::string gnu_magic() { return {"ustar  \0", 8}; }

  /// The archive with its end: two blocks of zeros.
  std::string finish() const { return bytes_ + std::string(1024, '\0'); }
  /// Without an end.
  const std::string& bytes() const { return bytes_; }

 private:
  static void put(std::string& header, std::size_t at, std::string_view text) { header.replace(at, text.size(), text); }
  static std::string octal(std::uint64_t value, int digits) {
    char text[32];
    std::snprintf(text, sizeof text, "%0*llo", digits, static_cast<unsigned long long>(value));
    return text;
  }

  std::string bytes_;
};

}  // namespace mlctr::test
