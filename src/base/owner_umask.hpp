// The session's umask (umask(2)). One that takes away the owner's own rights would make directories of mlctr's that
// nobody can enter, in the store and where containers are found; programs get it as it is.
#pragma once

namespace mlctr {

/// Leaves the owner what mlctr makes. Call it before threads are started; again does nothing more.
void spare_owner_in_umask();

/// Back to what the session has, for a program that comes next.
void restore_umask();

}  // namespace mlctr
