// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/libbpf/elf_check.h"

#include <cerrno>
#include <cstring>
#include <elf.h>
#include <linux/bpf.h>
#include <optional>
#include <string_view>
#include <vector>

#include "bpf/btf/btf.h"
#include "bpf/libbpf/btf_ext_check.h"

namespace xdplane {

namespace {

constexpr u32 kMaxSections = 0xff00; // SHN_LORESERVE: more would need extended numbering
constexpr u32 kAddrSig = 0x6fff4c03; // SHT_LLVM_ADDRSIG, which clang adds
constexpr u64 kMaxAlignment = 4096;

class ElfCheck {
public:
    explicit ElfCheck(std::span<const u8> file) : file_(file) {}

    Result<ElfFacts> run() {
        if (auto r = header(); !r) return fail(std::move(r.error()));
        if (auto r = sections(); !r) return fail(std::move(r.error()));
        if (auto r = symbols(); !r) return fail(std::move(r.error()));
        for (u32 i = 1; i < sections_.size(); ++i)
            if (auto r = section_contents(i); !r) return fail(std::move(r.error()));
        if (auto r = btf(); !r) return fail(std::move(r.error()));
        return facts_;
    }

private:
    Result<> header();
    Result<> sections();
    Result<> symbols();
    Result<> symbol(u32 index, const Elf64_Sym& sym);
    Result<> section_contents(u32 index);
    Result<> relocations(u32 index);
    Result<> btf();

    template<class T>
    [[nodiscard]] T read(u64 at) const {
        T value{};
        std::memcpy(&value, file_.data() + at, sizeof value);
        return value;
    }
    [[nodiscard]] bool in_file(u64 offset, u64 size) const {
        return offset <= file_.size() && size <= file_.size() - offset;
    }
    [[nodiscard]] std::span<const u8> contents(const Elf64_Shdr& s) const {
        if (s.sh_type == SHT_NOBITS) return {};
        return file_.subspan(s.sh_offset, s.sh_size);
    }
    [[nodiscard]] std::string_view string(u32 table, u32 offset) const {
        const auto strings = contents(sections_[table]);
        return offset < strings.size() ? reinterpret_cast<const char*>(strings.data() + offset)
                                       : std::string_view{};
    }
    [[nodiscard]] std::string_view name(u32 section) const {
        return string(names_, sections_[section].sh_name);
    }
    [[nodiscard]] bool is_string_table(u32 index) const {
        return index < sections_.size() && sections_[index].sh_type == SHT_STRTAB;
    }
    [[nodiscard]] Elf64_Sym symbol_at(u32 index) const {
        return read<Elf64_Sym>(sections_[symtab_].sh_offset + u64{index} * sizeof(Elf64_Sym));
    }

    std::span<const u8> file_;
    std::vector<Elf64_Shdr> sections_;
    u32 names_ = 0;  ///< section of the sections' names
    u32 symtab_ = 0; ///< 0: none
    u32 symbols_ = 0;
    ElfFacts facts_;
};

Result<> ElfCheck::header() {
    if (file_.size() < sizeof(Elf64_Ehdr)) return fail(EINVAL, "not an ELF file: {} bytes", file_.size());
    const auto h = read<Elf64_Ehdr>(0);
    if (std::memcmp(h.e_ident, ELFMAG, SELFMAG) != 0) return fail(EINVAL, "not an ELF file");
    if (h.e_ident[EI_CLASS] != ELFCLASS64) return fail(EINVAL, "not a 64-bit ELF file");
    if (h.e_ident[EI_DATA] != ELFDATA2LSB) return fail(EINVAL, "not a little-endian ELF file");
    if (h.e_ident[EI_VERSION] != EV_CURRENT || h.e_version != EV_CURRENT)
        return fail(EINVAL, "unknown ELF version");
    if (h.e_machine != EM_BPF) return fail(EINVAL, "not a BPF object: ELF machine {}", h.e_machine);
    if (h.e_type != ET_REL) return fail(EINVAL, "not a relocatable object: ELF type {}", h.e_type);
    if (h.e_ehsize != sizeof(Elf64_Ehdr) || h.e_shentsize != sizeof(Elf64_Shdr))
        return fail(EINVAL, "ELF header sizes are wrong");
    if (h.e_phnum != 0) return fail(EINVAL, "an object file has no program headers");
    if (h.e_shnum == 0 || h.e_shnum >= kMaxSections) return fail(EINVAL, "{} sections", h.e_shnum);
    if (h.e_shoff % alignof(Elf64_Shdr) != 0) return fail(EINVAL, "section headers are not aligned");
    if (h.e_shoff < sizeof(Elf64_Ehdr) || !in_file(h.e_shoff, u64{h.e_shnum} * sizeof(Elf64_Shdr)))
        return fail(EINVAL, "section headers lie behind the end of the file: it is truncated");
    for (u32 i = 0; i < h.e_shnum; ++i)
        sections_.push_back(read<Elf64_Shdr>(h.e_shoff + i * sizeof(Elf64_Shdr)));
    names_ = h.e_shstrndx;
    return {};
}

Result<> ElfCheck::sections() {
    if (!is_string_table(names_)) return fail(EINVAL, "section names are missing");
    if (sections_[0].sh_type != SHT_NULL || sections_[0].sh_size != 0)
        return fail(EINVAL, "section 0 is not empty");
    for (u32 i = 1; i < sections_.size(); ++i) {
        const Elf64_Shdr& s = sections_[i];
        if (s.sh_type != SHT_NOBITS && !in_file(s.sh_offset, s.sh_size))
            return fail(EINVAL, "section {} lies behind the end of the file", i);
        if (s.sh_type == SHT_NOBITS && s.sh_size > ~u32{0}) return fail(EINVAL, "section {} is too big", i);
        if (s.sh_addralign > kMaxAlignment || (s.sh_addralign & (s.sh_addralign - 1)) != 0)
            return fail(EINVAL, "section {} has an odd alignment", i);
        if (s.sh_addralign > 1 && s.sh_offset % s.sh_addralign != 0 && s.sh_type != SHT_NOBITS)
            return fail(EINVAL, "section {} is not aligned", i);
        if ((s.sh_flags & SHF_COMPRESSED) != 0) return fail(EINVAL, "section {} is compressed", i);
        switch (s.sh_type) {
        case SHT_STRTAB:
            if (s.sh_size == 0 || file_[s.sh_offset] != 0 || file_[s.sh_offset + s.sh_size - 1] != 0)
                return fail(EINVAL, "string table {} is not terminated", i);
            break;
        case SHT_SYMTAB:
            if (symtab_ != 0) return fail(EINVAL, "more than one symbol table");
            symtab_ = i;
            break;
        case SHT_PROGBITS:
        case SHT_NOBITS:
        case SHT_REL:
        case kAddrSig: break;
        case SHT_NULL: return fail(EINVAL, "section {} is unused", i);
        default: return fail(EINVAL, "section {} is of unknown type {:#x}", i, s.sh_type);
        }
    }
    for (u32 i = 1; i < sections_.size(); ++i)
        if (sections_[i].sh_name >= sections_[names_].sh_size)
            return fail(EINVAL, "section {} has no name", i);
    return {};
}

Result<> ElfCheck::symbols() {
    if (symtab_ == 0) return fail(EINVAL, "no symbol table");
    const Elf64_Shdr& s = sections_[symtab_];
    if (s.sh_entsize != sizeof(Elf64_Sym) || s.sh_size % sizeof(Elf64_Sym) != 0 || s.sh_offset % 8 != 0)
        return fail(EINVAL, "symbol table has odd entries");
    if (!is_string_table(s.sh_link)) return fail(EINVAL, "symbol names are missing");
    // libbpf takes names of symbols and of sections from one table.
    if (s.sh_link != names_) return fail(EINVAL, "symbol and section names lie in two tables");
    if (s.sh_size / sizeof(Elf64_Sym) > ~u32{0} >> 1) return fail(EINVAL, "too many symbols");
    symbols_ = static_cast<u32>(s.sh_size / sizeof(Elf64_Sym));
    for (u32 i = 0; i < symbols_; ++i)
        if (auto r = symbol(i, symbol_at(i)); !r) return r;
    return {};
}

Result<> ElfCheck::symbol(u32 index, const Elf64_Sym& sym) {
    if (sym.st_name >= sections_[names_].sh_size) return fail(EINVAL, "symbol {} has no name", index);
    if (ELF64_ST_TYPE(sym.st_info) > STT_FILE) return fail(EINVAL, "symbol {} is of unknown type", index);
    if (ELF64_ST_BIND(sym.st_info) > STB_WEAK) return fail(EINVAL, "symbol {} has an unknown binding", index);
    if (sym.st_shndx == SHN_ABS || sym.st_shndx == SHN_UNDEF) return {};
    if (sym.st_shndx >= sections_.size()) return fail(EINVAL, "symbol {} lies in no section", index);
    const Elf64_Shdr& home = sections_[sym.st_shndx];
    if (sym.st_value > home.sh_size || sym.st_size > home.sh_size - sym.st_value)
        return fail(EINVAL, "symbol {} lies outside its section", index);
    const bool function = ELF64_ST_TYPE(sym.st_info) == STT_FUNC;
    if (!function) return {};
    if (home.sh_type != SHT_PROGBITS || (home.sh_flags & SHF_EXECINSTR) == 0)
        return fail(EINVAL, "function {} lies in a section without code", string(names_, sym.st_name));
    if (sym.st_value % sizeof(bpf_insn) != 0 || sym.st_size % sizeof(bpf_insn) != 0 || sym.st_size == 0)
        return fail(EINVAL, "function {} is not made of whole instructions", string(names_, sym.st_name));
    if (string(names_, sym.st_name).empty()) return fail(EINVAL, "a function has no name");
    return {};
}

Result<> ElfCheck::section_contents(u32 index) {
    const Elf64_Shdr& s = sections_[index];
    if (s.sh_type == SHT_REL) return relocations(index);
    if (s.sh_type == SHT_PROGBITS && (s.sh_flags & SHF_EXECINSTR) != 0 &&
        (s.sh_size % sizeof(bpf_insn) != 0 || s.sh_offset % sizeof(bpf_insn) != 0))
        return fail(EINVAL, "section {} is not made of whole instructions", name(index));
    if (name(index) == "license") {
        const auto text = contents(s);
        if (text.empty() || text.back() != 0) return fail(EINVAL, "the license is not terminated");
    }
    if (name(index) == "version" && s.sh_size != sizeof(u32))
        return fail(EINVAL, "section version has an odd size");
    return {};
}

Result<> ElfCheck::relocations(u32 index) {
    const Elf64_Shdr& s = sections_[index];
    if (s.sh_entsize != sizeof(Elf64_Rel) || s.sh_size % sizeof(Elf64_Rel) != 0 || s.sh_offset % 8 != 0)
        return fail(EINVAL, "relocations {} have odd entries", name(index));
    if (s.sh_link != symtab_) return fail(EINVAL, "relocations {} belong to no symbol table", name(index));
    if (s.sh_info == 0 || s.sh_info >= sections_.size())
        return fail(EINVAL, "relocations {} belong to no section", name(index));
    const Elf64_Shdr& target = sections_[s.sh_info];
    const bool code = (target.sh_flags & SHF_EXECINSTR) != 0;
    const bool maps = name(s.sh_info) == ".maps";
    // libbpf pairs the two by number; by name they belong together too.
    if (name(index) != ".rel" + std::string(name(s.sh_info)))
        return fail(EINVAL, "relocations {} and their section {} do not match", name(index), name(s.sh_info));
    if (target.sh_type != SHT_PROGBITS) return fail(EINVAL, "relocations {} belong to no data", name(index));
    for (u64 at = s.sh_offset; at < s.sh_offset + s.sh_size; at += sizeof(Elf64_Rel)) {
        const auto rel = read<Elf64_Rel>(at);
        const u64 symbol = ELF64_R_SYM(rel.r_info);
        if (symbol >= symbols_) return fail(EINVAL, "a relocation in {} has no symbol", name(index));
        const u64 width = code || maps ? 8 : 4;
        if (rel.r_offset > target.sh_size || target.sh_size - rel.r_offset < width)
            return fail(EINVAL, "a relocation in {} lies outside its section", name(index));
        if (code && rel.r_offset % sizeof(bpf_insn) != 0)
            return fail(EINVAL, "a relocation in {} hits no instruction", name(index));
        if (code) {
            // The second slot of ld_imm64 is written as well.
            const u8 opcode = file_[target.sh_offset + rel.r_offset];
            if (opcode == (BPF_LD | BPF_IMM | BPF_DW) && target.sh_size - rel.r_offset < 2 * sizeof(bpf_insn))
                return fail(EINVAL, "a relocation in {} hits half an instruction", name(index));
        }
        const Elf64_Sym sym = symbol_at(static_cast<u32>(symbol));
        if (maps && ELF64_ST_TYPE(sym.st_info) == STT_FUNC)
            facts_.map_programs.emplace(string(names_, sym.st_name));
    }
    return {};
}

Result<> ElfCheck::btf() {
    std::shared_ptr<const Btf> types;
    std::optional<u32> extension;
    for (u32 i = 1; i < sections_.size(); ++i) {
        if (name(i) == ".BTF") {
            if (types) return fail(EINVAL, "more than one .BTF");
            auto parsed = Btf::parse(contents(sections_[i]), Btf::Source::object_file);
            if (!parsed) return fail(EINVAL, ".BTF: {}", parsed.error().message);
            types = std::move(*parsed);
        } else if (name(i) == ".BTF.ext") {
            if (extension) return fail(EINVAL, "more than one .BTF.ext");
            extension = i;
        }
    }
    if (!extension) return {};
    if (!types) return fail(EINVAL, ".BTF.ext without .BTF");
    const auto code_size = [this](std::string_view section) -> std::optional<u64> {
        for (u32 i = 1; i < sections_.size(); ++i)
            if ((sections_[i].sh_flags & SHF_EXECINSTR) != 0 && name(i) == section)
                return sections_[i].sh_size;
        return std::nullopt;
    };
    return check_btf_ext(contents(sections_[*extension]), *types, code_size);
}

} // namespace

Result<ElfFacts> check_elf(std::span<const u8> file) { return ElfCheck(file).run(); }

} // namespace xdplane
