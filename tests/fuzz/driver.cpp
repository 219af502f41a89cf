// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Runs a fuzz target as a test: a GoogleTest case for each file of the corpus, which gives the target the
// file, its beginnings, and mutations of it that are the same on every run.
//
//   test_fuzz_NAME [--mutations N] [--cut-every N] [--ending .EXT] FILE-OR-DIRECTORY...
//   test_fuzz_NAME --input FILE        only this, as it is
//
// An input that crashes or takes too long is left in crash-NAME in the current directory.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <random>
#include <string>
#include <sys/time.h>
#include <unistd.h>
#include <vector>

#include "tests/fuzz/target.h"

extern "C" __attribute__((weak)) size_t LLVMFuzzerCustomMutator(uint8_t*, size_t, size_t, unsigned);
extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*)());

namespace {

namespace fs = std::filesystem;
using Bytes = std::vector<uint8_t>;

constexpr int kCpuSecondsPerInput = 30; // under sanitizers too
constexpr int kSecondsPerInput = 200;   // for one that waits; machines may be busy
constexpr size_t kMaxGrowth = 64;
constexpr size_t kMaxMutatedBytes = 8 << 20; // of one file

struct Options {
    unsigned mutations = 100;
    unsigned cut_every = 0;
    std::string ending;
    std::vector<fs::path> paths;
    fs::path input;
} g_options;

std::mt19937_64 g_random;

// What runs now, for the signal handler.
const uint8_t* g_data;
size_t g_size;
std::string g_save_as;

void save_input() {
    if (g_data == nullptr) return;
    const int fd = ::open(g_save_as.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    const bool saved = fd >= 0 && ::write(fd, g_data, g_size) == static_cast<ssize_t>(g_size);
    const std::string_view said = saved ? "\nthe input is in " : "\nthe input could not be written to ";
    for (const std::string_view part : {said, std::string_view(g_save_as), std::string_view("\n")})
        if (::write(STDERR_FILENO, part.data(), part.size()) < 0) return;
    g_data = nullptr;
}

void on_signal(int number) {
    if (number == SIGALRM || number == SIGPROF) {
        constexpr std::string_view kText = "\nthis input takes too long";
        if (::write(STDERR_FILENO, kText.data(), kText.size()) < 0) ::_exit(1);
    }
    save_input();
    ::signal(number, SIG_DFL);
    ::raise(number);
}

void set_timers(int wall, int cpu) {
    const itimerval real{{}, {wall, 0}};
    const itimerval used{{}, {cpu, 0}};
    ::setitimer(ITIMER_REAL, &real, nullptr);
    ::setitimer(ITIMER_PROF, &used, nullptr);
}

void run(const Bytes& bytes) {
    // An allocation of its own without slack, so that a sanitizer sees a read behind the end.
    const Bytes exact(bytes);
    g_data = exact.data();
    g_size = exact.size();
    set_timers(kSecondsPerInput, kCpuSecondsPerInput);
    LLVMFuzzerTestOneInput(exact.data(), exact.size());
    set_timers(0, 0);
    g_data = nullptr;
}

Bytes read(const fs::path& file) {
    std::ifstream in(file, std::ios::binary);
    EXPECT_TRUE(in) << file;
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

void mutate(Bytes& bytes) {
    const size_t size = bytes.size();
    bytes.resize(size + kMaxGrowth);
    const auto seed = static_cast<unsigned>(g_random());
    const size_t left = LLVMFuzzerCustomMutator != nullptr
                            ? LLVMFuzzerCustomMutator(bytes.data(), size, bytes.size(), seed)
                            : LLVMFuzzerMutate(bytes.data(), size, bytes.size());
    bytes.resize(left);
}

class Replay : public testing::Test {
public:
    explicit Replay(fs::path file) : file_(std::move(file)) {}
    void TestBody() override {
        const Bytes original = read(file_);
        run(original);
        for (size_t cut = 0; g_options.cut_every != 0 && cut < original.size(); cut += g_options.cut_every)
            run(Bytes(original.begin(), original.begin() + static_cast<ptrdiff_t>(cut)));
        g_random.seed(std::hash<std::string>{}(file_.filename().string()));
        const size_t affordable = 1 + kMaxMutatedBytes / (original.size() + 1);
        for (size_t i = 0; i < std::min<size_t>(g_options.mutations, affordable); ++i) {
            Bytes bytes = original;
            for (uint64_t rounds = 1 + g_random() % 4; rounds != 0; --rounds) mutate(bytes);
            run(bytes);
        }
    }

private:
    fs::path file_;
};

std::vector<fs::path> corpus() {
    std::vector<fs::path> files;
    for (const fs::path& path : g_options.paths) {
        if (!fs::is_directory(path)) {
            files.push_back(path);
            continue;
        }
        for (const auto& entry : fs::recursive_directory_iterator(path))
            if (entry.is_regular_file() && entry.path().string().ends_with(g_options.ending))
                files.push_back(entry.path());
    }
    std::ranges::sort(files);
    return files;
}

std::string case_name(const fs::path& file) {
    std::string name = file.filename().string();
    for (char& c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    return name;
}

bool parse(int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (!word.starts_with("--")) {
            g_options.paths.emplace_back(word);
            continue;
        }
        if (++i == argc) return false;
        if (word == "--mutations") {
            g_options.mutations = static_cast<unsigned>(std::strtoul(argv[i], nullptr, 10));
        } else if (word == "--cut-every") {
            g_options.cut_every = static_cast<unsigned>(std::strtoul(argv[i], nullptr, 10));
        } else if (word == "--ending") {
            g_options.ending = argv[i];
        } else if (word == "--input") {
            g_options.input = argv[i];
        } else {
            return false;
        }
    }
    return !g_options.paths.empty() || !g_options.input.empty();
}

} // namespace

/// Bits, bytes, numbers at edges, pieces removed, doubled and moved.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size) {
    static constexpr uint64_t kEdges[] = {
        0,      1,       2,          0x7f,     0x80,       0xff,       0x100,      0x7fff,     0x8000,
        0xffff, 0x10000, 0x7fffffff, 1U << 31, 0xffffffff, 1ULL << 32, ~0ULL >> 1, 1ULL << 63, ~0ULL};
    const auto pick = [](size_t below) { return static_cast<size_t>(g_random() % below); };
    if (size == 0) {
        if (max_size == 0) return 0;
        data[0] = static_cast<uint8_t>(g_random());
        return 1;
    }
    const size_t at = pick(size);
    switch (pick(6)) {
    case 0: data[at] ^= static_cast<uint8_t>(1U << pick(8)); return size;
    case 1: data[at] = static_cast<uint8_t>(g_random()); return size;
    case 2: {
        const uint64_t value = kEdges[pick(std::size(kEdges))] + pick(3) - 1;
        const size_t width = std::min(size_t{1} << pick(4), size - at);
        std::memcpy(data + at, &value, width);
        return size;
    }
    case 3: {
        const size_t count = 1 + pick(std::min<size_t>(size - at, 64));
        std::memmove(data + at, data + at + count, size - at - count);
        return size - count;
    }
    case 4: {
        if (size == max_size) return size;
        const size_t count = 1 + pick(std::min<size_t>({size - at, max_size - size, 64}));
        std::memmove(data + at + count, data + at, size - at);
        return size + count;
    }
    default: {
        const size_t from = pick(size);
        const size_t count = 1 + pick(std::min<size_t>(size - std::max(at, from), 64));
        std::memmove(data + at, data + from, count);
        return size;
    }
    }
}

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (!parse(argc, argv)) {
        std::fprintf(stderr, "usage: %s [--mutations N] [--cut-every N] [--ending .EXT] CORPUS...\n",
                     argv[0]);
        return 2;
    }
    g_save_as = "crash-" + fs::path(argv[0]).filename().string();
    ::signal(SIGALRM, on_signal);
    ::signal(SIGPROF, on_signal);
    if (__sanitizer_set_death_callback != nullptr)
        __sanitizer_set_death_callback(save_input);
    else
        for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) ::signal(number, on_signal);
    ::signal(SIGABRT, on_signal);
    if (!g_options.input.empty()) {
        run(read(g_options.input));
        return 0;
    }
    for (const fs::path& file : corpus())
        testing::RegisterTest("Corpus", case_name(file).c_str(), nullptr, nullptr, __FILE__, __LINE__,
                              [file]() -> testing::Test* { return new Replay(file); });
    return RUN_ALL_TESTS();
}
