// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Truncated, damaged and hostile object files: one clear error, never a crash or a hang.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <random>

#include "bpf/libbpf/elf_check.h"
#include "bpf/libbpf/object.h"
#include "bpf/syscall/bpf_system.h"

using namespace xdplane;

namespace {

struct File {
    std::string name;
    std::vector<u8> bytes;
};
std::vector<File> g_files;

std::vector<File> read_objects(const std::filesystem::path& directory) {
    std::vector<File> files;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
        const std::string name = entry.path().filename();
        if (!name.ends_with(".bpf.o")) continue;
        std::ifstream in(entry.path(), std::ios::binary);
        files.push_back({name, {std::istreambuf_iterator<char>(in), {}}});
    }
    std::ranges::sort(files, {}, &File::name);
    return files;
}

/// What a user does with a file; true if it was loaded.
bool try_object(std::span<const u8> bytes) {
    auto object = Object::open(bytes, "hostile.bpf.o");
    if (!object) {
        EXPECT_TRUE(object.error().message.starts_with("hostile.bpf.o: ")) << object.error().message;
        EXPECT_EQ(object.error().message.find('\n'), std::string::npos) << object.error().message;
        EXPECT_GT(object.error().code, 0);
        return false;
    }
    const auto loaded = (*object)->load();
    if (!loaded) {
        EXPECT_TRUE(loaded.error().message.starts_with("hostile.bpf.o: ")) << loaded.error().message;
        EXPECT_EQ(loaded.error().message.find('\n'), std::string::npos) << loaded.error().message;
        EXPECT_GT(loaded.error().code, 0);
    }
    return loaded.has_value();
}

TEST(HostileObject, SoundFilesLoad) {
    ASSERT_GE(g_files.size(), 8U);
    for (const File& file : g_files) EXPECT_TRUE(try_object(file.bytes)) << file.name;
}

TEST(HostileObject, EveryTruncationIsRefused) {
    for (const File& file : g_files)
        for (std::size_t size = 0; size < file.bytes.size(); size += 64)
            EXPECT_FALSE(try_object({file.bytes.data(), size})) << file.name << " cut at " << size;
}

/// Where mistakes hide: numbers at the edges of their types.
u8 hostile_byte(std::mt19937& random) {
    constexpr u8 kEdges[] = {0, 1, 0x7f, 0x80, 0xff, 8, 16, 24};
    return random() % 2 == 0 ? kEdges[random() % std::size(kEdges)] : static_cast<u8>(random());
}

TEST(HostileObject, DamagedBytesDoNoHarm) {
    std::mt19937 random(20260102);
    u32 accepted = 0;
    for (const File& file : g_files) {
        for (u32 round = 0; round < 100; ++round) {
            auto bytes = file.bytes;
            for (u32 n = 1 + random() % 4; n > 0; --n) bytes[random() % bytes.size()] = hostile_byte(random);
            accepted += try_object(bytes) ? 1 : 0;
        }
    }
    // Many bytes (debug information, padding) mean nothing to a loader.
    EXPECT_GT(accepted, 10U);
}

/// Damage where libbpf looks: headers, symbols, relocations, BTF and code, by section.
TEST(HostileObject, DamagedSectionsDoNoHarm) {
    std::mt19937 random(20260103);
    for (const File& file : g_files) {
        u64 table = 0;
        u16 count = 0;
        std::memcpy(&table, file.bytes.data() + 40, sizeof table);
        std::memcpy(&count, file.bytes.data() + 60, sizeof count);
        for (u16 section = 0; section < count; ++section) {
            u32 type = 0;
            u64 offset = 0;
            u64 size = 0;
            const u8* header = file.bytes.data() + table + section * 64U;
            std::memcpy(&type, header + 4, sizeof type);
            std::memcpy(&offset, header + 24, sizeof offset);
            std::memcpy(&size, header + 32, sizeof size);
            for (u32 round = 0; round < 6; ++round) {
                auto bytes = file.bytes;
                if (round % 3 == 0) bytes[table + section * 64U + random() % 64] = hostile_byte(random);
                for (u32 n = random() % 3; n > 0 && size != 0 && type != 8; --n)
                    bytes[offset + random() % size] = hostile_byte(random);
                try_object(bytes);
            }
        }
    }
}

TEST(HostileObject, HeaderDamageIsNamed) {
    const auto& sound = g_files.front().bytes;
    struct {
        std::size_t at;
        u8 value;
        const char* message;
    } const cases[] = {
        {0, 'X', "not an ELF file"},
        {4, 1, "not a 64-bit ELF file"},
        {5, 2, "not a little-endian ELF file"},
        {16, 2, "not a relocatable object: ELF type 2"},
        {18, 62, "not a BPF object: ELF machine 62"},
        {43, 0x7f, "section headers lie behind the end of the file: it is truncated"},
        {62, 0, "section names are missing"},
    };
    for (const auto& c : cases) {
        auto bytes = sound;
        bytes[c.at] = c.value;
        const auto checked = check_elf(bytes);
        ASSERT_FALSE(checked) << c.message;
        EXPECT_EQ(checked.error().message, c.message);
    }
}

} // namespace

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc < 2) return 2;
    set_engine(Engine::interpreter);
    g_files = read_objects(argv[1]);
    return RUN_ALL_TESTS();
}
