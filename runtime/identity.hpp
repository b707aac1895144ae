// Who the user is, outside and inside. A container has exactly one user and one group id: the kernel lets anyone map
// their own (user_namespaces(7)), and nobody needs subordinate ids.
#pragma once

#include <sys/types.h>

namespace mlctr::runtime {

struct Identity {
  uid_t outer_uid = 0;  ///< in the namespace mlctr was started in
  gid_t outer_gid = 0;
  uid_t uid = 0;  ///< in the container: the same as outside, or 0 when remapped
  gid_t gid = 0;
};

enum class Remap { none, root };

/// Of who has these ids outside.
Identity identity_of(uid_t uid, gid_t gid, Remap remap);

/// The caller's own.
Identity current_identity(Remap remap);

/// Gives the calling process (single-threaded) a user namespace of its own with this identity, and the further
/// namespaces of `clone_flags` (CLONE_NEWNS …) in it. Throws SysError with the setting that forbids it, where one does.
void enter_new_namespaces(const Identity& identity, int clone_flags);

}  // namespace mlctr::runtime
