// How this process' memory allocator treats large payloads.
//
// glibc maps each allocation above its threshold anew and gives it back when freed: for payloads of 1 MiB
// that is a page fault every 4 KiB of every request. Called once, at the start of a server's main().
#pragma once

#include <malloc.h>

namespace shima {

inline void keep_large_buffers() {
  mallopt(M_MMAP_THRESHOLD, 128 << 20);
  mallopt(M_TRIM_THRESHOLD, 256 << 20);
  mallopt(M_TOP_PAD, 16 << 20);
}

}  // namespace shima
