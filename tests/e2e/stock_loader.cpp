// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// A program with the system's libbpf that knows nothing of xdplane: loads an object, runs it, and looks at
// its global data through mmap(2). Runs behind `xdplane exec`, and on the kernel. Prints what is wrong.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

int g_wrong = 0;

void expect(bool right, const char* what) {
    if (right) return;
    ++g_wrong;
    std::printf("wrong: %s\n", what);
}

bpf_map* find_map(bpf_object* object, const char* ending) {
    bpf_map* map = nullptr;
    bpf_object__for_each_map(map, object) {
        const std::size_t length = std::strlen(bpf_map__name(map));
        if (length >= std::strlen(ending) &&
            std::strcmp(bpf_map__name(map) + length - std::strlen(ending), ending) == 0)
            return map;
    }
    return nullptr;
}

/// .bss, as skeletons have it.
volatile std::uint64_t* map_memory(int fd, int protection) {
    void* const memory =
        mmap(nullptr, static_cast<std::size_t>(getpagesize()), protection, MAP_SHARED, fd, 0);
    return memory == MAP_FAILED ? nullptr : static_cast<volatile std::uint64_t*>(memory);
}

void run_once(int program, std::uint32_t expected) {
    unsigned char packet[60] = {};
    LIBBPF_OPTS(bpf_test_run_opts, options, .data_in = packet, .data_size_in = sizeof packet);
    expect(bpf_prog_test_run_opts(program, &options) == 0, "test run");
    expect(options.retval == expected, "its result");
}

} // namespace

int main(int argc, char** argv) {
    // Run-time statistics, until somebody ends the process.
    if (argc == 2 && std::strcmp(argv[1], "--stats") == 0) {
        const int fd = bpf_enable_stats(BPF_STATS_RUN_TIME);
        std::fprintf(stderr, fd < 0 ? "off\n" : "on\n");
        if (fd >= 0) pause();
        return 2;
    }
    bpf_object* const object = argc == 2 ? bpf_object__open_file(argv[1], nullptr) : nullptr;
    if (object == nullptr || bpf_object__load(object) != 0) {
        std::printf("the object was not loaded\n");
        return 2;
    }
    const int program = bpf_program__fd(bpf_object__find_program_by_name(object, "account"));
    const int bss = bpf_map__fd(find_map(object, ".bss"));
    const int constants = bpf_map__fd(find_map(object, ".rodata"));
    const int counts = bpf_map__fd(find_map(object, "counts"));

    volatile std::uint64_t* const total = map_memory(bss, PROT_READ | PROT_WRITE);
    expect(total != nullptr, "mmap of .bss");
    if (total == nullptr) return 1;
    run_once(program, 2);
    expect(*total == 60, "what the program wrote is in the mapping");
    *total = 1000;
    run_once(program, 2);
    expect(*total == 1060, "what was written into the mapping is there for the program");
    std::uint32_t key = 0;
    std::uint64_t value = 0;
    expect(bpf_map_lookup_elem(bss, &key, &value) == 0 && value == 1060, "lookup of .bss");
    key = 1;
    expect(bpf_map_lookup_elem(counts, &key, &value) == 0 && value == 6, "lookup of an array");
    expect(map_memory(constants, PROT_READ) != nullptr, "mmap of constants for reading");
    expect(map_memory(constants, PROT_READ | PROT_WRITE) == nullptr, "mmap of constants for writing");
    expect(map_memory(counts, PROT_READ) == nullptr, "mmap of an array without BPF_F_MMAPABLE");

    // A whole batch, and a child that has the same fds.
    std::uint32_t keys[4];
    std::uint64_t values[4];
    std::uint32_t next = 0;
    std::uint32_t count = 4;
    bpf_map_lookup_batch(counts, nullptr, &next, keys, values, &count, nullptr);
    expect(count == 4 && values[1] == 6, "batch");
    const pid_t child = fork();
    if (child == 0) {
        run_once(program, 2);
        _exit(g_wrong);
    }
    int status = -1;
    waitpid(child, &status, 0);
    expect(status == 0, "the child's run");
    expect(*total == 1120, "what it wrote");
    bpf_object__close(object);
    std::printf("%d wrong\n", g_wrong);
    return g_wrong != 0 ? 1 : 0;
}
