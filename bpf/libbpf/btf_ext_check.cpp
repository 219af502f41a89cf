// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/libbpf/btf_ext_check.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <linux/bpf.h>
#include <linux/btf.h>

namespace xdplane {

namespace {

/// The header as LLVM writes it (llvm/docs: BTFDebug); offsets count from its end.
struct BtfExtHeader {
    u16 magic;
    u8 version;
    u8 flags;
    u32 size;
    u32 func_info_off;
    u32 func_info_len;
    u32 line_info_off;
    u32 line_info_len;
    u32 core_relo_off;
    u32 core_relo_len;
};
static_assert(sizeof(BtfExtHeader) == 32);
constexpr u32 kHeaderWithoutCore = 24;

/// One of the three tables: a record size, then for each code section its name, a count and the records.
class TableCheck {
public:
    TableCheck(const char* what, u32 record, const Btf& btf,
               const std::function<std::optional<u64>(std::string_view)>& code_size)
        : what_(what), record_(record), btf_(btf), code_size_(code_size) {}

    Result<> run(std::span<const u8> table) const {
        if (table.empty()) return {};
        if (table.size() < sizeof(u32)) return fail(EINVAL, ".BTF.ext: {} is cut short", what_);
        const u32 size = word(table, 0);
        if (size < record_ || size > 252 || size % 4 != 0)
            return fail(EINVAL, ".BTF.ext: {} of {} bytes", what_, size);
        std::size_t at = sizeof(u32);
        // libbpf asks for at least one section.
        if (at == table.size()) return fail(EINVAL, ".BTF.ext: {} has no sections", what_);
        while (at < table.size()) {
            if (table.size() - at < 2 * sizeof(u32)) return fail(EINVAL, ".BTF.ext: {} is cut short", what_);
            const std::string_view section = btf_.string(word(table, at));
            const u64 count = word(table, at + 4);
            at += 2 * sizeof(u32);
            if (count == 0 || count * size > table.size() - at)
                return fail(EINVAL, ".BTF.ext: {} is cut short", what_);
            const auto code = code_size_(section);
            if (!code) return fail(EINVAL, ".BTF.ext: {} of section '{}', which has no code", what_, section);
            u32 last = 0;
            for (u64 i = 0; i < count; ++i, at += size) {
                if (auto r = record(table, at, *code); !r) return r;
                const u32 offset = word(table, at);
                if (i != 0 && offset < last) return fail(EINVAL, ".BTF.ext: {} is out of order", what_);
                last = offset;
            }
        }
        return {};
    }

private:
    [[nodiscard]] static u32 word(std::span<const u8> table, std::size_t at) {
        u32 value = 0;
        std::memcpy(&value, table.data() + at, sizeof value);
        return value;
    }
    [[nodiscard]] bool known_string(u32 offset) const { return btf_.string(offset).data() != nullptr; }

    Result<> record(std::span<const u8> table, std::size_t at, u64 code) const {
        const u32 offset = word(table, at);
        if (offset % sizeof(bpf_insn) != 0 || offset >= code)
            return fail(EINVAL, ".BTF.ext: {} at {} hits no instruction", what_, offset);
        bool good = true;
        if (record_ == sizeof(bpf_func_info)) {
            good = btf_.kind(word(table, at + 4)) == BtfKind::func;
        } else if (what_[0] == 'l') {
            good = known_string(word(table, at + 4)) && known_string(word(table, at + 8));
        } else {
            const u32 type = word(table, at + 4);
            good = type != 0 && type < btf_.type_count() && known_string(word(table, at + 8)) &&
                   word(table, at + 12) <= BPF_CORE_TYPE_MATCHES;
        }
        if (!good) return fail(EINVAL, ".BTF.ext: {} at {} refers to nothing", what_, offset);
        return {};
    }

    const char* what_;
    u32 record_;
    const Btf& btf_;
    const std::function<std::optional<u64>(std::string_view)>& code_size_;
};

} // namespace

Result<> check_btf_ext(std::span<const u8> bytes, const Btf& btf,
                       const std::function<std::optional<u64>(std::string_view)>& code_size) {
    BtfExtHeader h{};
    if (bytes.size() < kHeaderWithoutCore) return fail(EINVAL, ".BTF.ext is cut short");
    std::memcpy(&h, bytes.data(), kHeaderWithoutCore);
    if (h.magic != BTF_MAGIC || h.version != BTF_VERSION || h.flags != 0)
        return fail(EINVAL, ".BTF.ext has an unknown header");
    if (h.size < kHeaderWithoutCore || h.size > bytes.size() || h.size % 4 != 0)
        return fail(EINVAL, ".BTF.ext has a header of {} bytes", h.size);
    std::memcpy(&h, bytes.data(), std::min<std::size_t>(sizeof h, h.size));
    const auto body = bytes.subspan(h.size);
    struct {
        const char* what;
        u32 record;
        u32 offset;
        u32 length;
    } const tables[] = {
        {"func_info", sizeof(bpf_func_info), h.func_info_off, h.func_info_len},
        {"line_info", sizeof(bpf_line_info), h.line_info_off, h.line_info_len},
        {"core_relo", sizeof(bpf_core_relo), h.core_relo_off, h.core_relo_len},
    };
    for (const auto& t : tables) {
        if (t.offset % 4 != 0 || t.offset > body.size() || t.length > body.size() - t.offset)
            return fail(EINVAL, ".BTF.ext: {} lies outside", t.what);
        if (auto r = TableCheck(t.what, t.record, btf, code_size).run(body.subspan(t.offset, t.length)); !r)
            return r;
    }
    return {};
}

} // namespace xdplane
