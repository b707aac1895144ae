// What one try at a lock gives, whatever kind of lock it is.
#pragma once

#include <memory>
#include <variant>

#include "store/lock.hpp"

namespace mlctr {

/// The lock, or who has it.
using LockAttempt = std::variant<std::unique_ptr<Lock::Held>, LockOwner>;

}  // namespace mlctr
