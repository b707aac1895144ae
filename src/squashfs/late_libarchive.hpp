// The functions of libarchive that mlctr calls, without the prefix they share (base/late_library.hpp).
#pragma once

#include <archive.h>
#include <archive_entry.h>

#include "base/late_library.hpp"

namespace mlctr {

struct LibArchive {
  LateLibrary library{"libarchive.so.13", "libarchive13"};
  LateFunction<decltype(::archive_clear_error)> clear_error{library, "archive_clear_error"};
  LateFunction<decltype(::archive_entry_filetype)> entry_filetype{library, "archive_entry_filetype"};
  LateFunction<decltype(::archive_entry_gid)> entry_gid{library, "archive_entry_gid"};
  LateFunction<decltype(::archive_entry_hardlink)> entry_hardlink{library, "archive_entry_hardlink"};
  LateFunction<decltype(::archive_entry_mtime)> entry_mtime{library, "archive_entry_mtime"};
  LateFunction<decltype(::archive_entry_pathname)> entry_pathname{library, "archive_entry_pathname"};
  LateFunction<decltype(::archive_entry_perm)> entry_perm{library, "archive_entry_perm"};
  LateFunction<decltype(::archive_entry_rdevmajor)> entry_rdevmajor{library, "archive_entry_rdevmajor"};
  LateFunction<decltype(::archive_entry_rdevminor)> entry_rdevminor{library, "archive_entry_rdevminor"};
  LateFunction<decltype(::archive_entry_size)> entry_size{library, "archive_entry_size"};
  LateFunction<decltype(::archive_entry_sparse_count)> entry_sparse_count{library, "archive_entry_sparse_count"};
  LateFunction<decltype(::archive_entry_symlink)> entry_symlink{library, "archive_entry_symlink"};
  LateFunction<decltype(::archive_entry_uid)> entry_uid{library, "archive_entry_uid"};
  LateFunction<decltype(::archive_entry_xattr_next)> entry_xattr_next{library, "archive_entry_xattr_next"};
  LateFunction<decltype(::archive_entry_xattr_reset)> entry_xattr_reset{library, "archive_entry_xattr_reset"};
  LateFunction<decltype(::archive_errno)> error_number{library, "archive_errno"};
  LateFunction<decltype(::archive_error_string)> error_string{library, "archive_error_string"};
  LateFunction<decltype(::archive_filter_bytes)> filter_bytes{library, "archive_filter_bytes"};
  LateFunction<decltype(::archive_read_data)> read_data{library, "archive_read_data"};
  LateFunction<decltype(::archive_read_data_block)> read_data_block{library, "archive_read_data_block"};
  LateFunction<decltype(::archive_read_data_skip)> read_data_skip{library, "archive_read_data_skip"};
  LateFunction<decltype(::archive_read_free)> read_free{library, "archive_read_free"};
  LateFunction<decltype(::archive_read_new)> read_new{library, "archive_read_new"};
  LateFunction<decltype(::archive_read_next_header)> read_next_header{library, "archive_read_next_header"};
  LateFunction<decltype(::archive_read_open)> read_open{library, "archive_read_open"};
  LateFunction<decltype(::archive_read_open_fd)> read_open_fd{library, "archive_read_open_fd"};
  LateFunction<decltype(::archive_read_support_filter_bzip2)> read_support_filter_bzip2{
      library, "archive_read_support_filter_bzip2"};
  LateFunction<decltype(::archive_read_support_filter_gzip)> read_support_filter_gzip{
      library, "archive_read_support_filter_gzip"};
  LateFunction<decltype(::archive_read_support_filter_xz)> read_support_filter_xz{library,
                                                                                  "archive_read_support_filter_xz"};
  LateFunction<decltype(::archive_read_support_filter_zstd)> read_support_filter_zstd{
      library, "archive_read_support_filter_zstd"};
  LateFunction<decltype(::archive_read_support_format_raw)> read_support_format_raw{library,
                                                                                    "archive_read_support_format_raw"};
  LateFunction<decltype(::archive_read_support_format_tar)> read_support_format_tar{library,
                                                                                    "archive_read_support_format_tar"};
  // Spelled out: the declaration carries printf's attribute, which a template argument can't.
  LateFunction<void(struct archive*, int, const char*, ...)> set_error{library, "archive_set_error"};
};

/// Loaded at the first call. Throws Error where it is not installed.
inline const LibArchive& libarchive() {
  static const LibArchive loaded;
  return loaded;
}

}  // namespace mlctr
