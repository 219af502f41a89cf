// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cerrno>
#include <dlfcn.h>

#include "bpf/base/types.h"

/// Preload library: what takes the place of libc's calls, in preload*.cpp.

// By names of our own: headers give some of libc's other names, and syscall() other arguments.
#define XDPLANE_TAKES(name) __asm__(name) __attribute__((visibility("default")))

namespace xdplane::remote {

/// libc's own. A program without it would not have started.
template<class Function>
Function* real(const char* name) {
    return reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
}

/// 0 or more, or -1 with errno.
template<class T>
T answer(T result) {
    if (result >= 0) return result;
    errno = static_cast<int>(-result);
    return -1;
}

/// What OBJ_PIN and OBJ_GET answer for a path that is none of the daemon's: it does not look at those.
[[nodiscard]] long answer_elsewhere(u32 command, u64 attributes, u32 size, long refusal);

} // namespace xdplane::remote
