#include "runtime/image_server.hpp"

#define FUSE_USE_VERSION 312
#include <fmt/format.h>
#include <fuse_lowlevel.h>
#include <linux/fuse.h>
#include <sys/statvfs.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "base/thread.hpp"
#include "runtime/file_status.hpp"
#include "runtime/image_data.hpp"
#include "runtime/image_xattrs.hpp"
#include "runtime/node_id.hpp"
#include "runtime/program_files.hpp"

namespace mlctr::runtime {
namespace {

using namespace squashfs;

// The image never changes, so that the kernel may keep names and attributes as long as it likes: 30 years.
constexpr double k_forever_seconds = 1e9;

// Offsets of a listing: 0 is in front of ".", 1 in front of "..", and what follows is a place in the stored listing,
// so that reading on from any of them needs nothing remembered.
constexpr off_t k_parent_offset = 1;
constexpr off_t k_entries_offset = 2;

/// The errno to answer a request with, where that is no failure of the image.
struct Refusal {
  int errno_value;
};

template <class Kind>
const Kind& expect(const StoredInode& inode, int errno_value) {
  const auto* kind = std::get_if<Kind>(&inode.kind);
  if (kind == nullptr) throw Refusal{errno_value};
  return *kind;
}

enum class ListingStyle { plain, with_attributes };

/// Fills the reply to one request for a part of a listing.
class ListingBuffer {
 public:
  ListingBuffer(fuse_req_t request, std::size_t size_bytes, ListingStyle style)
      : request_(request),
        style_(style),
        size_bytes_(size_bytes),
        bytes_(std::make_unique_for_overwrite<char[]>(size_bytes)) {}

  /// `next` is the offset behind this entry. False where there is no room for it.
  [[nodiscard]] bool add(const char* name, const fuse_entry_param& entry, off_t next) {
    char* const room = bytes_.get() + used_bytes_;
    const std::size_t left = size_bytes_ - used_bytes_;
    const std::size_t needed = style_ == ListingStyle::plain
                                   ? fuse_add_direntry(request_, room, left, name, &entry.attr, next)
                                   : fuse_add_direntry_plus(request_, room, left, name, &entry, next);
    if (needed > left) return false;
    used_bytes_ += needed;
    return true;
  }

  ListingStyle style() const noexcept { return style_; }
  bool is_empty() const noexcept { return used_bytes_ == 0; }
  void send() const { fuse_reply_buf(request_, bytes_.get(), used_bytes_); }

 private:
  fuse_req_t request_;
  ListingStyle style_;
  std::size_t size_bytes_;
  std::unique_ptr<char[]> bytes_;
  std::size_t used_bytes_ = 0;
};

/// The answers to the kernel's requests: each computes all of its answer before it replies, so that an exception means
/// that no reply was sent.
class ImageServer {
 public:
  ImageServer(const Reader& image, const ImageServerOptions& options)
      : image_(image),
        owner_(options.owner),
        nodes_(image),
        xattrs_(image, options.marks),
        data_(image, options.cached_data_bytes, std::max(options.threads / 2, 1u)) {}

  void prepare(const std::vector<std::string>& programs, const std::stop_token& stop) noexcept {
    load_program(image_, data_, programs, stop);
  }

  void negotiate(fuse_conn_info& connection) {
    const unsigned wanted =
        FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS | FUSE_CAP_CACHE_SYMLINKS | FUSE_CAP_READDIRPLUS;
    // All that libfuse asks for by itself is off: its splices cost more than a copy, and READDIRPLUS_AUTO would make
    // a walk ask for each file's attributes one by one.
    connection.want = connection.capable & wanted;
    can_skip_open_ = (connection.capable & FUSE_CAP_NO_OPEN_SUPPORT) != 0;
    can_skip_opendir_ = (connection.capable & FUSE_CAP_NO_OPENDIR_SUPPORT) != 0;
  }

  void lookup(fuse_req_t request, fuse_ino_t parent, const char* name) {
    const StoredInode inode = image_.inode(nodes_.position(parent));
    const auto found = image_.find(expect<StoredDirectory>(inode, ENOTDIR), name);
    const fuse_entry_param answer = found ? entry(found->inode) : no_entry();
    fuse_reply_entry(request, &answer);
  }

  void getattr(fuse_req_t request, fuse_ino_t node, fuse_file_info*) {
    const struct stat status = file_status(image_.inode(nodes_.position(node)), owner_);
    fuse_reply_attr(request, &status, k_forever_seconds);
  }

  void readlink(fuse_req_t request, fuse_ino_t node) {
    const StoredInode inode = image_.inode(nodes_.position(node));
    fuse_reply_readlink(request, expect<Symlink>(inode, EINVAL).target.c_str());
  }

  // ENOSYS is a success: the kernel opens files by itself from then on, and keeps their pages and listings.
  void open(fuse_req_t request, fuse_ino_t, fuse_file_info* file) {
    if (can_skip_open_) throw Refusal{ENOSYS};
    file->keep_cache = 1;
    fuse_reply_open(request, file);
  }

  void opendir(fuse_req_t request, fuse_ino_t, fuse_file_info* directory) {
    if (can_skip_opendir_) throw Refusal{ENOSYS};
    directory->keep_cache = 1;
    directory->cache_readdir = 1;
    fuse_reply_open(request, directory);
  }

  void read(fuse_req_t request, fuse_ino_t node, std::size_t size_bytes, off_t offset, fuse_file_info*) {
    const MetadataPosition inode = nodes_.position(node);
    const auto begin = static_cast<std::uint64_t>(offset);
    const std::vector<DataPiece> pieces = data_.read(inode, begin, size_bytes);
    std::vector<iovec> parts;
    parts.reserve(pieces.size());
    for (const DataPiece& piece : pieces) {
      parts.push_back({const_cast<std::byte*>(piece.bytes.data()), piece.bytes.size()});  // writev(2) only reads it
    }
    fuse_reply_iov(request, parts.data(), static_cast<int>(parts.size()));
    if (begin == 0 && is_program(pieces)) {
      data_.read_program_ahead(inode);
    } else {
      data_.read_ahead(inode, begin, begin + size_bytes);
    }
  }

  void readdir(fuse_req_t request, fuse_ino_t node, std::size_t size_bytes, off_t offset, fuse_file_info*) {
    list(node, offset, ListingBuffer(request, size_bytes, ListingStyle::plain));
  }

  void readdirplus(fuse_req_t request, fuse_ino_t node, std::size_t size_bytes, off_t offset, fuse_file_info*) {
    list(node, offset, ListingBuffer(request, size_bytes, ListingStyle::with_attributes));
  }

  void statfs(fuse_req_t request, fuse_ino_t) {
    const Superblock& superblock = image_.superblock();
    struct statvfs status = {};
    status.f_bsize = superblock.block_bytes;
    status.f_frsize = superblock.block_bytes;
    status.f_blocks = (superblock.bytes_used + superblock.block_bytes - 1) / superblock.block_bytes;
    status.f_files = superblock.inode_count;
    status.f_namemax = k_max_name_bytes;
    fuse_reply_statfs(request, &status);
  }

  void getxattr(fuse_req_t request, fuse_ino_t node, const char* name, std::size_t size_bytes) {
    if (!xattrs_.any()) throw Refusal{ENOSYS};  // overlayfs would ask again at each lookup
    if (!xattrs_.shows(name)) throw Refusal{ENODATA};
    const XattrSet set = xattrs_.of(image_.inode(nodes_.position(node)).xattrs);
    const auto found = std::ranges::find(set, name, &XattrSet::value_type::first);
    if (found == set.end()) throw Refusal{ENODATA};
    reply_xattr(request, found->second, size_bytes);
  }

  void listxattr(fuse_req_t request, fuse_ino_t node, std::size_t size_bytes) {
    if (!xattrs_.any()) throw Refusal{ENOSYS};
    std::string names;
    for (const auto& xattr : xattrs_.of(image_.inode(nodes_.position(node)).xattrs)) {
      names += xattr.first;
      names += '\0';
    }
    reply_xattr(request, names, size_bytes);
  }

 private:
  fuse_entry_param entry(MetadataPosition position) const {
    return {.ino = nodes_.of(position),
            .generation = 0,
            .attr = file_status(image_.inode(position), owner_),
            .attr_timeout = k_forever_seconds,
            .entry_timeout = k_forever_seconds};
  }

  // Node 0 for ever: the kernel remembers that there is no such name.
  static fuse_entry_param no_entry() {
    fuse_entry_param entry = {};
    entry.entry_timeout = k_forever_seconds;
    return entry;
  }

  // What a listing says of a name: the inode's number and type, and for a listing with attributes all of it, so that
  // the kernel need not look the name up. An inode that can't be read is no reason to hide its neighbours: node 0 tells
  // the kernel to ask for this one by itself.
  fuse_entry_param listed_entry(const StoredEntry& stored, ListingStyle style) const {
    if (style == ListingStyle::with_attributes) {
      try {
        return entry(stored.inode);
      } catch (const Error&) {
      }
    }
    return name_only(stored.inode_number, type_bits(stored.type));
  }

  static fuse_entry_param name_only(std::uint32_t number, mode_t type) {
    fuse_entry_param entry = {};
    entry.attr.st_ino = number;
    entry.attr.st_mode = type;
    return entry;
  }

  static mode_t type_bits(InodeType type) {
    switch (type) {
      case InodeType::directory:
        return S_IFDIR;
      case InodeType::file:
        return S_IFREG;
      case InodeType::symlink:
        return S_IFLNK;
      case InodeType::block_device:
        return S_IFBLK;
      case InodeType::character_device:
        return S_IFCHR;
      case InodeType::fifo:
        return S_IFIFO;
      case InodeType::socket:
        return S_IFSOCK;
    }
    return 0;
  }

  void list(fuse_ino_t node, off_t offset, ListingBuffer buffer) const {
    const StoredInode inode = image_.inode(nodes_.position(node));
    const auto& directory = expect<StoredDirectory>(inode, ENOTDIR);
    if (add_dots(inode, node == FUSE_ROOT_ID ? inode.number : directory.parent_number, offset, buffer)) {
      try {
        add_entries(directory, static_cast<std::uint64_t>(std::max(offset, k_entries_offset) - k_entries_offset),
                    buffer);
      } catch (const Error&) {
        if (buffer.is_empty()) throw;  // else what came before the broken place is listed first
      }
    }
    buffer.send();
  }

  static bool add_dots(const StoredInode& inode, std::uint32_t parent_number, off_t offset, ListingBuffer& buffer) {
    if (offset < k_parent_offset && !buffer.add(".", name_only(inode.number, S_IFDIR), k_parent_offset)) return false;
    return offset >= k_entries_offset || buffer.add("..", name_only(parent_number, S_IFDIR), k_entries_offset);
  }

  void add_entries(const StoredDirectory& directory, std::uint64_t listing_offset, ListingBuffer& buffer) const {
    if (listing_offset >= directory.size_bytes) return;
    DirectoryCursor cursor = image_.list_from(directory, listing_offset);
    while (const auto stored = cursor.next()) {
      const auto next = static_cast<off_t>(cursor.listing_offset()) + k_entries_offset;
      if (!buffer.add(stored->name.c_str(), listed_entry(*stored, buffer.style()), next)) return;
    }
  }

  static void reply_xattr(fuse_req_t request, std::string_view value, std::size_t size_bytes) {
    if (size_bytes == 0) {
      fuse_reply_xattr(request, value.size());
    } else if (value.size() > size_bytes) {
      throw Refusal{ERANGE};
    } else {
      fuse_reply_buf(request, value.data(), value.size());
    }
  }

  // ELF's magic number (elf(5)).
  static bool is_program(const std::vector<DataPiece>& pieces) {
    constexpr std::string_view k_magic =
        "\x7f"
        "ELF";
    return !pieces.empty() && pieces[0].bytes.size() >= k_magic.size() &&
           std::memcmp(pieces[0].bytes.data(), k_magic.data(), k_magic.size()) == 0;
  }

  const Reader& image_;
  Owner owner_;
  NodeIds nodes_;
  ImageXattrs xattrs_;
  ImageData data_;
  bool can_skip_open_ = false;
  bool can_skip_opendir_ = false;
};

// libfuse's C function for a method of the server: whatever goes wrong, somebody waits for an answer.
template <auto method, class... Arguments>
void answer(fuse_req_t request, Arguments... arguments) noexcept {
  int failure = EIO;
  try {
    auto& server = *static_cast<ImageServer*>(fuse_req_userdata(request));
    (server.*method)(request, arguments...);
    return;
  } catch (const Refusal& refusal) {
    failure = refusal.errno_value;
  } catch (const std::bad_alloc&) {
    failure = ENOMEM;
  } catch (const std::exception&) {
    failure = EIO;
  }
  fuse_reply_err(request, failure);
}

fuse_lowlevel_ops operations() {
  fuse_lowlevel_ops operations = {};
  operations.init = [](void* server, fuse_conn_info* connection) {
    static_cast<ImageServer*>(server)->negotiate(*connection);
  };
  operations.lookup = answer<&ImageServer::lookup>;
  operations.getattr = answer<&ImageServer::getattr>;
  operations.readlink = answer<&ImageServer::readlink>;
  operations.open = answer<&ImageServer::open>;
  operations.opendir = answer<&ImageServer::opendir>;
  operations.read = answer<&ImageServer::read>;
  operations.readdir = answer<&ImageServer::readdir>;
  operations.readdirplus = answer<&ImageServer::readdirplus>;
  operations.statfs = answer<&ImageServer::statfs>;
  operations.getxattr = answer<&ImageServer::getxattr>;
  operations.listxattr = answer<&ImageServer::listxattr>;
  return operations;
}

struct SessionDestroy {
  void operator()(fuse_session* session) const { fuse_session_destroy(session); }
};

// The kernel's first request, from the kernel or from who heard it before. Its answer then goes to a request that the
// kernel does not know, which it says and libfuse does not mind. False where the mount has ended.
bool negotiate(fuse_session* session, const ImageServerOptions& options) {
  fuse_buf buffer = {};
  std::string heard = options.first_request;
  if (!heard.empty()) {
    constexpr std::uint64_t k_nobodys = std::uint64_t{1} << 62;
    std::memcpy(heard.data() + offsetof(fuse_in_header, unique), &k_nobodys, sizeof k_nobodys);
    buffer.mem = heard.data();
    buffer.size = heard.size();
    fuse_session_process_buf(session, &buffer);
    return true;
  }
  int size = 0;
  do size = fuse_session_receive_buf(session, &buffer);
  while (size == -EINTR);
  if (size > 0) {
    if (options.on_first_request) options.on_first_request({static_cast<const char*>(buffer.mem), buffer.size});
    fuse_session_process_buf(session, &buffer);
  }
  std::free(buffer.mem);
  return size > 0;
}

// Answers on the session's own descriptor, in the calling thread, until the mount ends.
void answer_here(fuse_session* session) {
  fuse_buf buffer = {};
  for (int size; (size = fuse_session_receive_buf(session, &buffer)) > 0 || size == -EINTR;) {
    if (size > 0) fuse_session_process_buf(session, &buffer);
  }
  std::free(buffer.mem);
}

struct LoopConfigDestroy {
  void operator()(fuse_loop_config* config) const { fuse_loop_cfg_destroy(config); }
};

}  // namespace

void serve_image(Fd fuse, const Reader& image, const ImageServerOptions& options) {
  ImageServer server(image, options);
  const fuse_lowlevel_ops callbacks = operations();
  char program[] = "mlctr";
  char* arguments[] = {program, nullptr};
  fuse_args session_arguments = FUSE_ARGS_INIT(1, arguments);
  const std::unique_ptr<fuse_session, SessionDestroy> session(
      fuse_session_new(&session_arguments, &callbacks, sizeof callbacks, &server));
  fuse_opt_free_args(&session_arguments);
  if (!session) throw Error(fmt::format("cannot serve {}: libfuse refused to begin", image.image().name()));
  // libfuse's name for a descriptor that is mounted already; it is the session's from then on.
  if (fuse_session_mount(session.get(), fmt::format("/dev/fd/{}", fuse.get()).c_str()) != 0) {
    throw Error(fmt::format("cannot serve {}: libfuse refused the descriptor", image.image().name()));
  }
  fuse.release();
  const std::unique_ptr<fuse_loop_config, LoopConfigDestroy> config(fuse_loop_cfg_create());
  fuse_loop_cfg_set_clone_fd(config.get(), 1);
  fuse_loop_cfg_set_max_threads(config.get(), std::max(options.threads, 2u) - 1);
  // A new thread may have to wait for a processor longer than a whole container takes to start: this one answers from
  // the first request on, and libfuse's threads join it once they are there.
  int result = 0;
  {
    std::jthread preparing;  // told to stop once nobody is there to read what it prepares
    if (!options.programs.empty()) {
      preparing =
          start_thread("read ahead", [&](const std::stop_token& stop) { server.prepare(options.programs, stop); });
    }
    if (negotiate(session.get(), options)) {
      const std::jthread others =
          start_thread("serve an image", [&] { result = fuse_session_loop_mt(session.get(), config.get()); });
      answer_here(session.get());
    }
  }
  if (result != 0) throw SysError(fmt::format("cannot serve {}", image.image().name()), std::abs(result));
}

}  // namespace mlctr::runtime
