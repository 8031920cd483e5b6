// The low-level interface of libfuse 3.12 and later, with the version of its API that this module is written
// for.
#pragma once

#define FUSE_USE_VERSION 312
#include <fuse3/fuse_lowlevel.h>
