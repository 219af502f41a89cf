// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/jit/disassemble.h"

#include <capstone/capstone.h>
#include <cerrno>
#include <iterator>
#include <memory>

namespace xdplane {
namespace {

/// An open capstone handle.
class Disassembler {
public:
    Disassembler() {
#if defined(__aarch64__)
        status_ = cs_open(CS_ARCH_ARM64, CS_MODE_ARM, &handle_);
#else
        status_ = cs_open(CS_ARCH_X86, CS_MODE_64, &handle_);
#endif
        // Bytes that are no instruction become ".byte" lines.
        if (status_ == CS_ERR_OK) cs_option(handle_, CS_OPT_SKIPDATA, CS_OPT_ON);
    }
    Disassembler(const Disassembler&) = delete;
    Disassembler& operator=(const Disassembler&) = delete;
    ~Disassembler() {
        if (status_ == CS_ERR_OK) cs_close(&handle_);
    }
    [[nodiscard]] cs_err status() const { return status_; }
    [[nodiscard]] csh handle() const { return handle_; }

private:
    csh handle_ = 0;
    cs_err status_ = CS_ERR_OK;
};

/// Columns of the bytes: ten, the length of a load of a 64-bit constant.
constexpr int kByteColumns = 30;

} // namespace

Result<std::string> disassemble_machine_code(std::span<const u8> code, u64 address) {
    const Disassembler disassembler;
    if (disassembler.status() != CS_ERR_OK)
        return fail(EOPNOTSUPP, "disassembler: {}", cs_strerror(disassembler.status()));
    const auto release = [](cs_insn* insn) { cs_free(insn, 1); };
    const std::unique_ptr<cs_insn, decltype(release)> insn(cs_malloc(disassembler.handle()), release);
    if (!insn) return fail(ENOMEM, "disassembler: out of memory");

    std::string text;
    const u8* bytes = code.data();
    std::size_t left = code.size();
    while (left > 0 && cs_disasm_iter(disassembler.handle(), &bytes, &left, &address, insn.get())) {
        std::string hex;
        for (u16 i = 0; i < insn->size; ++i)
            fmt::format_to(std::back_inserter(hex), "{:02x} ", u8{insn->bytes[i]});
        fmt::format_to(std::back_inserter(text), "{:>8x}: {:<{}}{}", u64{insn->address}, hex, kByteColumns,
                       &insn->mnemonic[0]);
        if (insn->op_str[0] != '\0') fmt::format_to(std::back_inserter(text), " {}", &insn->op_str[0]);
        text += '\n';
    }
    return text;
}

} // namespace xdplane
