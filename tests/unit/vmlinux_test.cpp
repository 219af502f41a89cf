// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/btf/vmlinux.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <linux/btf.h>
#include <unistd.h>

#include "bpf/helpers/kfunc_table.h"

namespace xdplane {
namespace {

/// A file that is gone with its owner.
class File {
public:
    explicit File(const std::string& bytes)
        : path_(std::filesystem::temp_directory_path() / fmt::format("xdplane-vmlinux-{}", ::getpid())) {
        std::ofstream(path_, std::ios::binary) << bytes;
    }
    ~File() { std::filesystem::remove(path_); }
    [[nodiscard]] std::string path() const { return path_.string(); }

private:
    std::filesystem::path path_;
};

std::string words(std::initializer_list<u32> values) {
    std::string bytes;
    for (const u32 value : values) bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
    return bytes;
}

std::string blob(const std::string& types, const std::string& strings) {
    btf_header header{};
    header.magic = BTF_MAGIC;
    header.version = BTF_VERSION;
    header.hdr_len = sizeof header;
    header.type_len = static_cast<u32>(types.size());
    header.str_off = header.type_len;
    header.str_len = static_cast<u32>(strings.size());
    return std::string(reinterpret_cast<const char*>(&header), sizeof header) + types + strings;
}

const std::string kStrings("\0int\0first\0second\0", 18);

std::string sample_types() {
    return words({1, BTF_KIND_INT << 24, 4, 32}) +                    // 1
           words({0, BTF_KIND_FUNC_PROTO << 24 | 2, 1, 0, 1, 0, 1}) + // 2
           words({5, BTF_KIND_FUNC << 24, 2}) +                       // 3: first
           words({1, BTF_KIND_STRUCT << 24 | 1, 4, 1, 1, 0}) +        // 4
           words({11, BTF_KIND_FUNC << 24, 2}) +                      // 5: second
           words({1, BTF_KIND_DECL_TAG << 24, 5, ~0U});               // 6
}

TEST(KernelFunctions, AreFoundByIdAndByName) {
    const File file(blob(sample_types(), kStrings));
    const auto functions = KernelFunctions::read(file.path());
    ASSERT_TRUE(functions) << functions.error().message;
    EXPECT_EQ(functions->size(), 2U);
    EXPECT_EQ(functions->name(3), "first");
    EXPECT_EQ(functions->name(5), "second");
    for (const u32 none : {0U, 1U, 2U, 4U, 6U, 7U, ~0U}) EXPECT_EQ(functions->name(none), "") << none;
    EXPECT_EQ(functions->id("second"), 5U);
    EXPECT_EQ(functions->id("third"), std::nullopt);
    EXPECT_EQ(functions->id("int"), std::nullopt);
}

TEST(KernelFunctions, FilesThatAreNone) {
    const auto missing = KernelFunctions::read("/no/such/file");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ENOENT);

    const std::string good = blob(sample_types(), kStrings);
    std::string other_magic = good;
    other_magic[0] = 0;
    std::string long_header = good;
    long_header[4] = 127;
    long_header[5] = 127;
    const std::string bad[] = {
        "",
        good.substr(0, 20),
        other_magic,
        long_header,
        good.substr(0, good.size() - 1),
        blob(words({1, BTF_KIND_INT << 24}), kStrings),
        blob(words({1, BTF_KIND_STRUCT << 24 | 100, 4, 1}), kStrings),
        blob(words({1, 31U << 24, 4}), kStrings),
        blob(words({400, BTF_KIND_FUNC << 24, 2}), kStrings),
        blob(words({5, BTF_KIND_FUNC << 24, 2}), std::string("\0int\0first", 10)),
    };
    for (std::size_t i = 0; i < std::size(bad); ++i) {
        const File file(bad[i]);
        const auto functions = KernelFunctions::read(file.path());
        ASSERT_FALSE(functions) << i;
        EXPECT_EQ(functions.error().code, EINVAL) << i << ": " << functions.error().message;
    }
}

TEST(KernelFunctions, TheRunningKernelKnowsEveryRow) {
    const Result<KernelFunctions>& functions = kernel_functions();
    if (!functions) GTEST_SKIP() << functions.error().message;
    EXPECT_EQ(&functions, &kernel_functions());
    for (const HelperProto& row : kfunc_table()) {
        const std::optional<u32> id = functions->id(row.name);
        ASSERT_TRUE(id) << row.name;
        EXPECT_EQ(functions->name(*id), row.name);
    }
}

} // namespace
} // namespace xdplane
