// The keys of a volume's metadata, as listed in jobs.h: a letter, then big-endian numbers (so that keys sort
// by number), then a name.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace shima {

std::string inode_prefix();
std::string inode_key(uint64_t inode);
std::string entry_key(uint64_t parent, std::string_view name);
std::string cookie_prefix(uint64_t parent);  // of all cookie keys of a directory
std::string cookie_key(uint64_t parent, uint64_t cookie);
std::string symlink_key(uint64_t inode);
std::string xattr_prefix(uint64_t inode);
std::string xattr_key(uint64_t inode, std::string_view name);
std::string locks_key(uint64_t inode);
std::string session_locks_prefix(uint64_t session);
std::string session_locks_key(uint64_t session, uint64_t inode);
std::string session_prefix();
std::string session_key(uint64_t session);
std::string orphan_prefix();
std::string orphan_key(uint64_t number);
std::string holders_prefix(uint64_t inode);
std::string holder_key(uint64_t inode, uint64_t session);
std::string holds_prefix(uint64_t session);
std::string hold_key(uint64_t session, uint64_t inode);
std::string counters_key();

// The number that ends a key of one number or two; 0 for a key that is too short (never written).
uint64_t last_number(std::string_view key);

}  // namespace shima
