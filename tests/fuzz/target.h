// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <cstddef>
#include <cstdint>

/// What a fuzz target defines, and what the program around it offers: libFuzzer (-Dfuzz=true), or driver.cpp,
/// which replays a corpus and a fixed number of mutations. The names and their meaning are libFuzzer's.

/// One input. Crashes, hangs and aborts are findings; the result is 0.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

/// Optional: changes an input in place, at most to max_size bytes, and returns its new size.
extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size, unsigned seed);

/// Offered: a mutation that knows nothing of the format, for use by custom mutators.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);
