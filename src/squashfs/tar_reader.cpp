#include "squashfs/tar_reader.hpp"

#include <locale.h>

#include <array>
#include <cerrno>
#include <exception>
#include <new>
#include <string_view>
#include <utility>

#include "squashfs/late_libarchive.hpp"
#include "squashfs/layer_error.hpp"

namespace mlctr::squashfs {
namespace {

// libarchive converts pax names from UTF-8 to the locale's charset and normalises them on the way (NFD becomes NFC in a
// UTF-8 locale). In "C" it can't convert anything beyond ASCII, warns and leaves the bytes, which is what we want.
class CLocale {
 public:
  CLocale() : locale_(::newlocale(LC_ALL_MASK, "C", nullptr)) {
    if (locale_ == nullptr) throw SysError("cannot set up the C locale");
    previous_ = ::uselocale(locale_);
  }
  CLocale(const CLocale&) = delete;
  CLocale& operator=(const CLocale&) = delete;
  ~CLocale() {
    ::uselocale(previous_);
    ::freelocale(locale_);
  }

 private:
  locale_t locale_;
  locale_t previous_;
};

// What one entry's headers may take: long names, pax records, a sparse map. libarchive keeps a sparse map as two lists,
// some 25 bytes of memory a byte read, and bounds neither.
constexpr std::size_t k_max_header_bytes = 4u << 20;

// A symlink named "." that goes before every archive. libarchive (3.6) loses the target of a link that has it in a pax
// record only, as Go writes targets that are not ASCII, until it has seen one in a header.
constexpr std::array<char, 512> make_first_header() {
  std::array<char, 512> header{};
  header[0] = '.';
  header[156] = '2';
  header[157] = '.';
  int sum = 8 * ' ' + '.' + '2' + '.';
  for (int i = 153; i >= 148; --i, sum /= 8) header[static_cast<std::size_t>(i)] = static_cast<char>('0' + sum % 8);
  return header;
}
constexpr std::array<char, 512> k_first_header = make_first_header();

std::string_view or_empty(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

TarEntry::Type type_of(archive_entry* entry) {
  switch (libarchive().entry_filetype(entry)) {
    case AE_IFREG:
      return TarEntry::Type::file;
    case AE_IFLNK:
      return TarEntry::Type::symlink;
    case AE_IFDIR:
      return TarEntry::Type::directory;
    case AE_IFCHR:
      return TarEntry::Type::character_device;
    case AE_IFBLK:
      return TarEntry::Type::block_device;
    case AE_IFIFO:
      return TarEntry::Type::fifo;
    case AE_IFSOCK:
      return TarEntry::Type::socket;
    default:
      throw LayerError(quote_name(or_empty(libarchive().entry_pathname(entry))) + " is of a type that no file has");
  }
}

}  // namespace

struct TarReader::Archive {
  CLocale locale;
  Source source;
  archive* handle = libarchive().read_new();
  TarEntry entry;
  bool is_open = false;
  bool is_primed = false;  // k_first_header was read
  std::exception_ptr source_failure;
  bool is_in_headers = false;
  std::size_t header_bytes = 0;

  explicit Archive(Source bytes) : source(std::move(bytes)) {
    if (handle == nullptr) throw std::bad_alloc();
    libarchive().read_support_format_tar(handle);
  }
  Archive(const Archive&) = delete;
  Archive& operator=(const Archive&) = delete;
  ~Archive() { libarchive().read_free(handle); }

  // libarchive's callback; an exception must not pass through it.
  static la_ssize_t read(archive* handle, void* self, const void** bytes);
  std::span<const std::byte> read_chunk();
  void check(int result);
  archive_entry* next_header();
  void fill_entry(archive_entry* from);
};

la_ssize_t TarReader::Archive::read(archive* handle, void* self, const void** bytes) {
  auto& archive = *static_cast<Archive*>(self);
  try {
    const std::span<const std::byte> chunk = archive.read_chunk();
    *bytes = chunk.data();
    return static_cast<la_ssize_t>(chunk.size());
  } catch (...) {
    archive.source_failure = std::current_exception();
    libarchive().set_error(handle, EIO, "the source failed");
    return ARCHIVE_FATAL;
  }
}

std::span<const std::byte> TarReader::Archive::read_chunk() {
  // The chunk before holds the start of the headers: this one exceeds the bound where whole chunks read since do.
  if (is_in_headers && header_bytes > k_max_header_bytes) throw LayerError("the headers of one tar entry exceed 4 MiB");
  const std::span<const std::byte> chunk =
      std::exchange(is_primed, true) ? source() : std::as_bytes(std::span(k_first_header));
  if (is_in_headers) header_bytes += chunk.size();
  return chunk;
}

void TarReader::Archive::check(int result) {
  if (source_failure) std::rethrow_exception(source_failure);
  if (result == ARCHIVE_OK) return;
  // A name that "C" can't show is no fault. Any other warning means that headers were not understood.
  const std::string_view text = or_empty(libarchive().error_string(handle));
  const bool is_charset_warning = result == ARCHIVE_WARN && libarchive().error_number(handle) == EILSEQ &&
                                  text.find("can't be converted from") != text.npos;
  if (!is_charset_warning) throw LayerError("cannot read its tar: " + std::string(text.empty() ? "damaged" : text));
}

void TarReader::Archive::fill_entry(archive_entry* from) {
  entry.path = or_empty(libarchive().entry_pathname(from));
  const bool is_hard_link = libarchive().entry_hardlink(from) != nullptr;
  entry.type = is_hard_link ? TarEntry::Type::hard_link : type_of(from);
  entry.link_target = or_empty(is_hard_link ? libarchive().entry_hardlink(from) : libarchive().entry_symlink(from));
  const la_int64_t size = libarchive().entry_size(from);
  if (size < 0) throw LayerError(quote_name(entry.path) + " has a negative size");
  entry.size_bytes = static_cast<std::uint64_t>(size);
  entry.permissions = static_cast<std::uint16_t>(libarchive().entry_perm(from) & 07777);
  entry.uid = libarchive().entry_uid(from);
  entry.gid = libarchive().entry_gid(from);
  entry.mtime = libarchive().entry_mtime(from);
  entry.device_major = libarchive().entry_rdevmajor(from);
  entry.device_minor = libarchive().entry_rdevminor(from);

  entry.xattrs.clear();
  libarchive().entry_xattr_reset(from);
  const char* name = nullptr;
  const void* value = nullptr;
  std::size_t size_bytes = 0;
  while (libarchive().entry_xattr_next(from, &name, &value, &size_bytes) == ARCHIVE_OK) {
    entry.xattrs.emplace_back(name, std::string(static_cast<const char*>(value), size_bytes));
  }
}

TarReader::TarReader(Source source) : archive_(std::make_unique<Archive>(std::move(source))) {}
TarReader::~TarReader() = default;

const TarEntry* TarReader::next() {
  Archive& archive = *archive_;
  if (!archive.is_open) {
    archive.check(libarchive().read_open(archive.handle, &archive, nullptr, &Archive::read, nullptr));
    archive.is_open = true;
    if (archive.next_header() == nullptr) throw LayerError("cannot read its tar");
  }
  // Apart from the next header, so that what is skipped doesn't count as one.
  const int skipped = libarchive().read_data_skip(archive.handle);
  if (skipped != ARCHIVE_EOF) archive.check(skipped);
  archive_entry* const entry = archive.next_header();
  if (entry == nullptr) return nullptr;
  archive.fill_entry(entry);
  return &archive.entry;
}

// Null at the end of the archive.
archive_entry* TarReader::Archive::next_header() {
  is_in_headers = true;
  header_bytes = 0;
  libarchive().clear_error(handle);  // check() must not judge by an earlier warning's text
  archive_entry* header = nullptr;
  const int result = libarchive().read_next_header(handle, &header);
  is_in_headers = false;
  if (result == ARCHIVE_EOF && !source_failure) return nullptr;
  check(result);
  return header;
}

std::optional<TarData> TarReader::read_data() {
  const void* bytes = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  const int result = libarchive().read_data_block(archive_->handle, &bytes, &size, &offset);
  if (result == ARCHIVE_EOF && !archive_->source_failure) return std::nullopt;
  archive_->check(result);
  if (offset < 0) throw LayerError(quote_name(archive_->entry.path) + " has content at a negative offset");
  return TarData{static_cast<std::uint64_t>(offset), {static_cast<const std::byte*>(bytes), size}};
}

}  // namespace mlctr::squashfs
