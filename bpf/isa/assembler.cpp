// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/isa/assembler.h"

#include <cctype>
#include <cerrno>
#include <map>
#include <optional>
#include <string>

#include "bpf/isa/disassembler.h"

namespace xdplane {
namespace {

/// Thrown inside this file only; assemble() turns it into a Result.
struct SyntaxError {
    std::string message;
};

/// A cursor over one line. Spaces between tokens mean nothing.
class Line {
public:
    explicit Line(std::string_view text) : rest_(text) { skip(); }

    [[nodiscard]] bool empty() const { return rest_.empty(); }
    [[nodiscard]] std::string_view rest() const { return rest_; }

    /// Takes `token` if it comes next. A token that ends in a letter or digit must end there.
    bool take(std::string_view token) {
        if (!rest_.starts_with(token)) return false;
        if (is_word(token.back()) && rest_.size() > token.size() && is_word(rest_[token.size()]))
            return false;
        rest_.remove_prefix(token.size());
        skip();
        return true;
    }
    /// Takes a prefix of a word, such as the "be" of "be16".
    bool take_prefix(std::string_view prefix) {
        if (!rest_.starts_with(prefix)) return false;
        rest_.remove_prefix(prefix.size());
        return true;
    }
    void expect(std::string_view token) {
        if (!take(token)) throw SyntaxError{fmt::format("expected '{}' before '{}'", token, rest_)};
    }
    [[nodiscard]] bool at_register() const {
        return rest_.size() > 1 && (rest_[0] == 'r' || rest_[0] == 'w') && is_digit(rest_[1]);
    }
    /// r0-r10, w0-w10; up to 15, so that tests can name registers that do not exist.
    u8 reg(char& file) {
        if (!at_register()) throw SyntaxError{fmt::format("expected a register before '{}'", rest_)};
        file = rest_[0];
        rest_.remove_prefix(1);
        const i64 number = integer();
        if (number > 15) throw SyntaxError{fmt::format("no register {}", number)};
        return static_cast<u8>(number);
    }
    u8 reg_of(char file) {
        char found = 0;
        const u8 number = reg(found);
        if (found != file)
            throw SyntaxError{fmt::format("expected {}{} instead of {}{}", file, number, found, number)};
        return number;
    }
    [[nodiscard]] bool at_number() const {
        std::string_view s = rest_;
        while (!s.empty() && (s[0] == '-' || s[0] == '+' || s[0] == ' ')) s.remove_prefix(1);
        return !s.empty() && is_digit(s[0]);
    }
    /// A signed or unsigned number of 64 bits, decimal or hex, with an optional sign.
    i64 integer(bool* hex = nullptr) {
        bool negative = false;
        while (!rest_.empty() && (rest_[0] == '-' || rest_[0] == '+')) {
            negative ^= rest_[0] == '-';
            rest_.remove_prefix(1);
            skip();
        }
        const bool is_hex = rest_.starts_with("0x") || rest_.starts_with("0X");
        if (is_hex) rest_.remove_prefix(2);
        if (hex != nullptr) *hex = is_hex;
        const u64 base = is_hex ? 16 : 10;
        u64 value = 0;
        bool any = false;
        for (; !rest_.empty(); rest_.remove_prefix(1), any = true) {
            const int digit = digit_value(rest_[0]);
            if (digit < 0 || static_cast<u64>(digit) >= base) break;
            u64 next = 0;
            if (__builtin_mul_overflow(value, base, &next) ||
                __builtin_add_overflow(next, static_cast<u64>(digit), &next))
                throw SyntaxError{"number out of 64 bits"};
            value = next;
        }
        if (!any || (!rest_.empty() && is_word(rest_[0])))
            throw SyntaxError{fmt::format("expected a number before '{}'", rest_)};
        skip();
        return static_cast<i64>(negative ? 0 - value : value);
    }
    std::string_view word() {
        std::size_t size = 0;
        while (size < rest_.size() && is_word(rest_[size])) ++size;
        if (size == 0) throw SyntaxError{fmt::format("expected a name before '{}'", rest_)};
        const std::string_view found = rest_.substr(0, size);
        rest_.remove_prefix(size);
        skip();
        return found;
    }

    static bool is_word(char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
    }

private:
    static bool is_digit(char c) { return c >= '0' && c <= '9'; }
    static int digit_value(char c) {
        if (is_digit(c)) return c - '0';
        c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
        return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    }
    void skip() {
        while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_[0])) != 0)
            rest_.remove_prefix(1);
    }
    std::string_view rest_;
};

/// Which field of which insn waits for a label.
struct Fixup {
    u32 insn;
    bool in_imm;
    std::string label;
    u32 line;
};

struct Address {
    char sign; ///< u or s
    u32 width;
    u8 base;
    i16 off;
};

template<class T>
T narrow(i64 value, const char* what) {
    if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max())
        throw SyntaxError{fmt::format("{} {} does not fit {} bits", what, value, 8 * sizeof(T))};
    return static_cast<T>(value);
}

class Assembler {
public:
    void line(std::string_view text, u32 number) {
        line_ = number;
        Line in(text);
        while (label(in)) {
        }
        if (in.empty()) return;
        statement(in);
        if (!in.empty()) throw SyntaxError{fmt::format("unexpected '{}'", in.rest())};
    }

    std::vector<Insn> finish() {
        for (const Fixup& fixup : fixups_) {
            line_ = fixup.line;
            const auto found = labels_.find(fixup.label);
            if (found == labels_.end()) throw SyntaxError{fmt::format("no label '{}'", fixup.label)};
            const i64 distance = i64{found->second} - fixup.insn - 1;
            if (fixup.in_imm)
                insns_[fixup.insn].imm = narrow<i32>(distance, "distance");
            else
                insns_[fixup.insn].off = narrow<i16>(distance, "distance");
        }
        return std::move(insns_);
    }
    [[nodiscard]] u32 line_number() const { return line_; }

private:
    bool label(Line& in) {
        std::size_t size = 0;
        const std::string_view rest = in.rest();
        while (size < rest.size() && Line::is_word(rest[size])) ++size;
        if (size == 0 || size == rest.size() || rest[size] != ':') return false;
        if (!labels_.emplace(rest.substr(0, size), static_cast<u32>(insns_.size())).second)
            throw SyntaxError{fmt::format("label '{}' again", rest.substr(0, size))};
        in = Line(rest.substr(size + 1));
        return true;
    }

    void statement(Line& in) {
        if (in.take("exit")) return emit(Op::exit);
        if (in.take(".insn")) return raw(in);
        if (in.take("if")) return jump(in);
        if (in.take("goto")) return target(in, emit_insn(Op::ja), false);
        if (in.take("gotol")) return target(in, emit_insn(Op::ja32), true);
        if (in.take("may_goto")) return target(in, emit_insn(Op::may_goto), false);
        if (in.take("store_release")) return store_release(in);
        if (in.take("call")) return call(in);
        if (in.take("lock")) return lock(in);
        if (in.take("*")) return store(in);
        assignment(in);
    }

    void emit(Op op, u8 dst = 0, u8 src = 0, i16 off = 0, i32 imm = 0) {
        insns_.push_back(encode(op, dst, src, off, imm));
    }
    u32 emit_insn(Op op, u8 dst = 0, u8 src = 0, i32 imm = 0) {
        emit(op, dst, src, 0, imm);
        return static_cast<u32>(insns_.size() - 1);
    }

    /// The row with these properties; every row is found this way, so the table alone knows the opcodes.
    static Op find(OpKind kind, Code code, u32 width, Operand operand) {
        for (const OpcodeInfo& row : kOpcodes)
            if (row.version > 0 && row.kind == kind && row.code == code && row.width == width &&
                row.operand == operand)
                return row.op;
        throw SyntaxError{"no such instruction"};
    }

    static i32 imm32(Line& in) {
        bool hex = false;
        const i64 value = in.integer(&hex);
        if (hex && value >= 0 && value <= 0xffffffffLL) return static_cast<i32>(value);
        return narrow<i32>(value, "immediate");
    }

    void raw(Line& in) {
        Insn insn{};
        insn.opcode = narrow<u8>(in.integer(), "opcode");
        insn.dst = static_cast<u8>(in.integer() & 15);
        insn.src = static_cast<u8>(in.integer() & 15);
        insn.off = narrow<i16>(in.integer(), "off");
        insn.imm = imm32(in);
        insns_.push_back(insn);
    }

    /// "pc+3", "+3" or a label.
    void target(Line& in, u32 insn, bool in_imm) {
        if (in.rest().starts_with("pc+") || in.rest().starts_with("pc-")) in.take_prefix("pc");
        if (in.at_number()) {
            const i64 distance = in.integer();
            if (in_imm)
                insns_[insn].imm = narrow<i32>(distance, "distance");
            else
                insns_[insn].off = narrow<i16>(distance, "distance");
            return;
        }
        fixups_.push_back({insn, in_imm, std::string(in.word()), line_});
    }

    void jump(Line& in) {
        char file = 0;
        const u8 dst = in.reg(file);
        const Code code = operation(in, comparison_of, "a comparison");
        const u32 width = file == 'r' ? 64 : 32;
        u32 insn = 0;
        if (in.at_register())
            insn = emit_insn(find(OpKind::jump, code, width, Operand::reg), dst, in.reg_of(file));
        else
            insn = emit_insn(find(OpKind::jump, code, width, Operand::imm), dst, 0, imm32(in));
        in.expect("goto");
        target(in, insn, false);
    }

    void call(Line& in) {
        const u32 insn = emit_insn(Op::call);
        const std::string_view rest = in.rest();
        const std::size_t hash = rest.find('#');
        if (hash != std::string_view::npos) {
            const bool kfunc = rest.starts_with("kernel-function#");
            in = Line(rest.substr(hash + 1));
            insns_[insn].imm = narrow<i32>(in.integer(), "helper");
            insns_[insn].src = kfunc ? kCallKfunc : kCallHelper;
            return;
        }
        insns_[insn].src = kCallLocal;
        target(in, insn, true);
    }

    /// "(u32 *)(r1 +16)", the star in front already taken where there is one.
    static Address address(Line& in) {
        Address where{};
        in.expect("(");
        if (in.take_prefix("u"))
            where.sign = 'u';
        else if (in.take_prefix("s"))
            where.sign = 's';
        else
            throw SyntaxError{"expected a width such as u32"};
        where.width = static_cast<u32>(in.integer());
        in.expect("*");
        in.expect(")");
        in.expect("(");
        where.base = in.reg_of('r');
        if (!in.take(")")) {
            where.off = narrow<i16>(in.integer(), "offset");
            in.expect(")");
        }
        return where;
    }

    void store(Line& in) {
        const Address where = address(in);
        in.expect("=");
        if (in.at_register())
            return emit(find(OpKind::stx, Code::none, where.width, Operand::reg), where.base, in.reg_of('r'),
                        where.off);
        emit(find(OpKind::st, Code::none, where.width, Operand::imm), where.base, 0, where.off, imm32(in));
    }

    void lock(Line& in) {
        in.expect("*");
        const Address where = address(in);
        const Code code = operation(in, assignment_of, "an operation");
        emit(find(OpKind::atomic, code, where.width, Operand::reg), where.base, in.reg_of('r'), where.off);
    }

    /// "store_release((u8 *)(r1 +0), r2)"
    void store_release(Line& in) {
        in.expect("(");
        const Address where = address(in);
        in.expect(",");
        emit(find(OpKind::store_release, Code::none, where.width, Operand::reg), where.base, in.reg_of('r'),
             where.off);
        in.expect(")");
    }

    /// "load_acquire((u64 *)(r2 +8))" behind "r1 =".
    bool load_acquire(Line& in, u8 dst) {
        in.expect("(");
        const Address where = address(in);
        emit(find(OpKind::load_acquire, Code::none, where.width, Operand::reg), dst, where.base, where.off);
        in.expect(")");
        return true;
    }

    /// "atomic64_fetch_add((u64 *)(r10 -8), r1)" behind "r1 = ".
    void fetch(Line& in, u8 result, u32 width) {
        in.take_prefix("fetch_");
        static constexpr std::pair<std::string_view, Code> kNames[] = {
            {"add", Code::add},  {"or", Code::or_},    {"and", Code::and_},
            {"xor", Code::xor_}, {"xchg", Code::xchg}, {"cmpxchg", Code::cmpxchg}};
        const std::string_view name = in.word();
        for (const auto& [known, code] : kNames) {
            if (name != known) continue;
            in.expect("(");
            const Address where = address(in);
            if (where.width != width) throw SyntaxError{fmt::format("a pointer to u{} is needed", width)};
            in.expect(",");
            if (code == Code::cmpxchg) {
                if (in.reg_of('r') != R0 || result != R0) throw SyntaxError{"cmpxchg compares with r0"};
                in.expect(",");
            }
            const u8 src = in.reg_of('r');
            if (code != Code::cmpxchg && src != result)
                throw SyntaxError{"result and operand must be one register"};
            in.expect(")");
            return emit(find(OpKind::atomic, code, width, Operand::fetch), where.base, src, where.off);
        }
        throw SyntaxError{fmt::format("no atomic '{}'", name)};
    }

    void wide_immediate(u8 dst, u8 kind, i32 low, i32 high) {
        emit(Op::ld_imm64, dst, kind, 0, low);
        insns_.push_back({0, 0, 0, 0, high});
    }

    /// "map[fd:3]", "map[idx:3][0]+8", "subprog[+5]", "var[btf:7]"
    void special_immediate(Line& in, u8 dst) {
        const u32 insn = static_cast<u32>(insns_.size());
        if (in.take_prefix("subprog[")) {
            wide_immediate(dst, kCodeAddr, 0, 0);
            target(in, insn, true);
            return in.expect("]");
        }
        if (in.take_prefix("var[btf:")) {
            wide_immediate(dst, kVarAddr, imm32(in), 0);
            return in.expect("]");
        }
        const bool by_index = in.take_prefix("map[idx:");
        if (!by_index && !in.take_prefix("map[fd:") && !in.take_prefix("map[id:"))
            throw SyntaxError{fmt::format("cannot read '{}'", in.rest())};
        const i32 key = imm32(in);
        in.expect("]");
        if (!in.take("[0]")) return wide_immediate(dst, by_index ? kMapIndex : kMapFd, key, 0);
        wide_immediate(dst, by_index ? kMapIndexValue : kMapValue, key, static_cast<i32>(in.integer()));
    }

    void assignment(Line& in) {
        char file = 0;
        const u8 dst = in.reg(file);
        const u32 width = file == 'r' ? 64 : 32;
        const Code code = operation(in, assignment_of, "an operation");
        if (code == Code::mov && special_move(in, file, dst, width)) return;
        if (in.at_register()) return emit(find(OpKind::alu, code, width, Operand::reg), dst, in.reg_of(file));
        if (!in.at_number()) throw SyntaxError{fmt::format("cannot read '{}'", in.rest())};
        const Line before = in;
        const i64 value = in.integer();
        if (code == Code::mov && file == 'r' && in.take("ll"))
            return wide_immediate(dst, kImm64, static_cast<i32>(value), static_cast<i32>(value >> 32));
        in = before;
        emit(find(OpKind::alu, code, width, Operand::imm), dst, 0, 0, imm32(in));
    }

    /// What may stand behind "rN =" other than a register or a number.
    bool special_move(Line& in, char file, u8 dst, u32 width) {
        const Line before = in;
        if (in.take("-") && in.at_register()) {
            if (in.reg_of(file) != dst) throw SyntaxError{"negation is of a register itself"};
            emit(find(OpKind::alu, Code::neg, width, Operand::none), dst);
            return true;
        }
        in = before;
        if (in.take_prefix("(s")) return sign_extension(in, file, dst, width);
        if (in.take("*")) return load(in, file, dst);
        if (file == 'r' && in.take("load_acquire")) return load_acquire(in, dst);
        for (const auto& [name, code] :
             {std::pair{"le", Code::to_le}, {"be", Code::to_be}, {"bswap", Code::bswap}})
            if (in.take_prefix(name)) {
                const u32 bits = static_cast<u32>(in.integer());
                if (in.reg_of('r') != dst) throw SyntaxError{"a byte swap is of a register itself"};
                emit(find(OpKind::endian, code, bits, Operand::none), dst);
                return true;
            }
        if (in.take_prefix("atomic64_")) return fetch(in, dst, 64), true;
        if (in.take_prefix("atomic_")) return fetch(in, dst, 32), true;
        if (in.at_register() || in.at_number()) return false;
        special_immediate(in, dst);
        return true;
    }

    bool sign_extension(Line& in, char file, u8 dst, u32 width) {
        const i64 bits = in.integer();
        const Code code = bits == 8    ? Code::movsx8
                          : bits == 16 ? Code::movsx16
                          : bits == 32 ? Code::movsx32
                                       : Code::none;
        in.expect(")");
        emit(find(OpKind::alu, code, width, Operand::reg), dst, in.reg_of(file));
        return true;
    }

    bool load(Line& in, char file, u8 dst) {
        if (file != 'r') throw SyntaxError{"loads fill a whole register: write r"};
        if (in.rest().find("skb") != std::string_view::npos) return packet_load(in, dst);
        const Address where = address(in);
        const Code code = where.sign == 'u'   ? Code::none
                          : where.width == 8  ? Code::movsx8
                          : where.width == 16 ? Code::movsx16
                                              : Code::movsx32;
        emit(find(OpKind::ldx, code, where.width, Operand::reg), dst, where.base, where.off);
        return true;
    }

    /// "(u16 *)skb[12]", "(u16 *)skb[r1 + 12]"
    bool packet_load(Line& in, u8 dst) {
        if (dst != R0) throw SyntaxError{"packet loads fill r0"};
        in.expect("(");
        if (!in.take_prefix("u")) throw SyntaxError{"expected a width such as u32"};
        const u32 width = static_cast<u32>(in.integer());
        in.expect("*");
        in.expect(")");
        in.expect("skb");
        in.expect("[");
        if (in.at_register()) {
            const u8 src = in.reg_of('r');
            const i32 imm = in.at_number() ? imm32(in) : 0;
            emit(find(OpKind::ld_ind, Code::none, width, Operand::reg), 0, src, 0, imm);
        } else {
            emit(find(OpKind::ld_abs, Code::none, width, Operand::none), 0, 0, 0, imm32(in));
        }
        in.expect("]");
        return true;
    }

    /// The longest operator that comes next.
    static Code operation(Line& in, std::string_view (*text_of)(Code), const char* what) {
        Code found = Code::none;
        std::string_view longest;
        for (u32 i = 0; i <= static_cast<u32>(Code::cmpxchg); ++i) {
            const std::string_view text = text_of(static_cast<Code>(i));
            if (text.size() > longest.size() && in.rest().starts_with(text)) {
                found = static_cast<Code>(i);
                longest = text;
            }
        }
        if (found == Code::none) throw SyntaxError{fmt::format("expected {} before '{}'", what, in.rest())};
        in.take(longest);
        return found;
    }

    std::vector<Insn> insns_;
    std::map<std::string, u32, std::less<>> labels_;
    std::vector<Fixup> fixups_;
    u32 line_ = 0;
};

std::string_view without_comment(std::string_view line) {
    const auto at = [line](std::size_t i) { return i < line.size() ? line[i] : ' '; };
    for (std::size_t i = 0; i < line.size(); ++i) {
        // The hash of "call bpf_x#1" and of "call #1" starts no comment.
        const bool hash = line[i] == '#' && (i == 0 || at(i - 1) == ' ') && at(i + 1) != '-' &&
                          std::isdigit(static_cast<unsigned char>(at(i + 1))) == 0;
        if (line[i] == ';' || hash || line.substr(i).starts_with("//")) return line.substr(0, i);
    }
    return line;
}

} // namespace

Result<std::vector<Insn>> assemble(std::string_view text) {
    Assembler assembler;
    try {
        u32 number = 0;
        while (!text.empty()) {
            const std::size_t end = text.find('\n');
            assembler.line(without_comment(text.substr(0, end)), ++number);
            text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
        }
        return assembler.finish();
    } catch (const SyntaxError& error) {
        return fail(EINVAL, "line {}: {}", assembler.line_number(), error.message);
    }
}

} // namespace xdplane
