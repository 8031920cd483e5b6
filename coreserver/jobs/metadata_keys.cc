#include "coreserver/jobs/metadata_keys.h"

#include "common/types/byte_order.h"

namespace shima {
namespace {

std::string key_of(char kind, uint64_t number) {
  std::string key(1, kind);
  append_big_endian(key, number);
  return key;
}

std::string key_of(char kind, uint64_t first, uint64_t second) {
  std::string key = key_of(kind, first);
  append_big_endian(key, second);
  return key;
}

std::string key_of(char kind, uint64_t number, std::string_view name) {
  std::string key = key_of(kind, number);
  key.append(name);
  return key;
}

}  // namespace

std::string inode_prefix() { return "i"; }
std::string inode_key(uint64_t inode) { return key_of('i', inode); }
std::string entry_key(uint64_t parent, std::string_view name) { return key_of('e', parent, name); }
std::string cookie_prefix(uint64_t parent) { return key_of('c', parent); }
std::string cookie_key(uint64_t parent, uint64_t cookie) { return key_of('c', parent, cookie); }
std::string symlink_key(uint64_t inode) { return key_of('s', inode); }
std::string xattr_prefix(uint64_t inode) { return key_of('x', inode); }
std::string xattr_key(uint64_t inode, std::string_view name) { return key_of('x', inode, name); }
std::string locks_key(uint64_t inode) { return key_of('l', inode); }
std::string session_locks_prefix(uint64_t session) { return key_of('L', session); }
std::string session_locks_key(uint64_t session, uint64_t inode) { return key_of('L', session, inode); }
std::string session_prefix() { return "n"; }
std::string session_key(uint64_t session) { return key_of('n', session); }
std::string orphan_prefix() { return "o"; }
std::string orphan_key(uint64_t number) { return key_of('o', number); }
std::string holders_prefix(uint64_t inode) { return key_of('h', inode); }
std::string holder_key(uint64_t inode, uint64_t session) { return key_of('h', inode, session); }
std::string holds_prefix(uint64_t session) { return key_of('H', session); }
std::string hold_key(uint64_t session, uint64_t inode) { return key_of('H', session, inode); }
std::string counters_key() { return "u"; }

uint64_t last_number(std::string_view key) {
  uint64_t number = 0;
  if (key.size() < sizeof(number)) return 0;
  key.remove_prefix(key.size() - sizeof(number));
  return take_big_endian(key, number) ? number : 0;
}

}  // namespace shima
