// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/lower/slice.h"

#include <algorithm>
#include <bit>
#include <linux/bpf.h>
#include <numeric>
#include <utility>

namespace xdplane {
namespace {

/// What becomes of an instruction.
enum class Fate : u8 {
    keep,
    drop,  ///< it changes what the slice must not change, and nothing in its registers or stack
    clear, ///< the same, but a register gets what was there: 0 will do
    site,  ///< an expensive lookup
    leave, ///< a tail call: the target's slice goes on
    end,
};

bool is_call_of(const InsnFacts& facts, u32 helper) {
    return facts.helper != nullptr && !facts.helper->is_kfunc && facts.helper->id == helper;
}

/// Reads are as good as in the program from all that it is not alone to write. What a kernel object or
/// allocated memory holds may be gone without the calls that the slice leaves out.
Fate fate_of_load(PtrKind base) {
    switch (base) {
    case PtrKind::ctx:
    case PtrKind::stack:
    case PtrKind::packet:
    case PtrKind::packet_meta:
    case PtrKind::map_value: return Fate::keep;
    case PtrKind::none:
    case PtrKind::mem:
    case PtrKind::socket:
    case PtrKind::mixed: break;
    }
    return Fate::end;
}

Fate fate_of_store(PtrKind base) {
    if (base == PtrKind::stack) return Fate::keep;
    return fate_of_load(base) == Fate::keep ? Fate::drop : Fate::end;
}

Fate fate_of_atomic(const LoweredInsn& insn, PtrKind base) {
    const Fate fate = fate_of_store(base);
    return fate == Fate::drop && info(insn.op).operand == Operand::fetch ? Fate::clear : fate;
}

Fate fate_of_call(const InsnFacts& facts) {
    if (is_call_of(facts, BPF_FUNC_get_smp_processor_id)) return Fate::keep;
    if (!is_call_of(facts, BPF_FUNC_map_lookup_elem) || facts.map == nullptr) return Fate::end;
    if (facts.map->ops().array_like) return Fate::keep;
    return facts.map->ops().ahead != nullptr ? Fate::site : Fate::end;
}

Fate fate_of(const LoweredInsn& insn, const InsnFacts& facts) {
    switch (info(insn.op).kind) {
    case OpKind::alu:
    case OpKind::endian:
    case OpKind::jump:
    case OpKind::may_goto:
    case OpKind::ja:
    case OpKind::ld_abs:
    case OpKind::ld_ind: return Fate::keep;
    case OpKind::ld_imm64: return (insn.flags & kCodePointer) != 0 ? Fate::clear : Fate::keep;
    case OpKind::ldx:
    case OpKind::load_acquire: return fate_of_load(facts.base);
    case OpKind::st:
    case OpKind::stx:
    case OpKind::store_release: return fate_of_store(facts.base);
    case OpKind::atomic: return fate_of_atomic(insn, facts.base);
    case OpKind::call:
    case OpKind::exit: return Fate::end;
    case OpKind::lowered: break;
    }
    switch (insn.op) {
    case Op::ctx_length:
    case Op::nop: return Fate::keep;
    case Op::tail_call: return insn.target >= 0 ? Fate::leave : Fate::end;
    default: return fate_of_call(facts); // all other operations of lowering are calls
    }
}

/// The register that an instruction of fate `clear` writes.
u8 cleared_register(const LoweredInsn& insn) {
    const OpcodeInfo& row = info(insn.op);
    if (row.kind == OpKind::ld_imm64) return insn.dst;
    return row.code == Code::cmpxchg ? u8{R0} : insn.src;
}

class Slicer {
public:
    explicit Slicer(const Draft& draft)
        : draft_(draft), size_(draft.find(draft.program.functions().front().end)), nodes_(size_) {}

    std::optional<Slice> run() {
        if (size_ == 0) return {};
        for (u32 i = 0; i < size_; ++i) classify(i);
        find_useful();
        if (!nodes_[0].useful) return {};
        count_depths();
        return emit();
    }

private:
    struct Node {
        Fate fate = Fate::end;
        bool falls_through = true;
        u32 target = kNone;  ///< index of a jump's target
        bool useful = false; ///< a lookup or a tail call is reached from here
        bool reached = false;
        u32 depth = 0; ///< most lookups that come before it, loops aside
    };
    static constexpr u32 kNone = ~0U;

    void classify(u32 i) {
        const LoweredInsn& insn = draft_.insns[i].insn;
        Node& node = nodes_[i];
        node.fate = fate_of(insn, draft_.program.facts()[draft_.insns[i].origin]);
        const OpKind kind = info(insn.op).kind;
        if (kind == OpKind::jump || kind == OpKind::ja || kind == OpKind::may_goto) {
            node.target = draft_.find(static_cast<u32>(insn.target));
            node.falls_through = kind != OpKind::ja;
            // Nothing of the kind gets past the verifier, or it is unreachable.
            if (node.target >= size_) node.fate = Fate::end;
        }
        if (i + 1 == size_ && node.falls_through) node.fate = Fate::end;
        // A lookup is one insn, so that what follows has an origin to jump to.
        if (node.fate == Fate::site && draft_.insns[i + 1].origin == draft_.insns[i].origin)
            node.fate = Fate::end;
    }

    template<class Visit>
    void for_successors(u32 i, Visit visit) const {
        const Node& node = nodes_[i];
        if (node.fate == Fate::end || node.fate == Fate::leave) return;
        if (node.falls_through) visit(i + 1);
        if (node.target != kNone) visit(node.target);
    }

    /// Backwards from lookups and tail calls, over a list of what leads where: programs may be laid out in
    /// any order, and a pass over all of it for each jump back would never end.
    void find_useful() {
        std::vector<u32> work;
        for (u32 i = 0; i < size_; ++i)
            if (nodes_[i].fate == Fate::site || nodes_[i].fate == Fate::leave) work.push_back(i);
        if (work.empty()) return;
        std::vector<u32> first(size_ + 1); // of each insn's predecessors, in `from`
        for (u32 i = 0; i < size_; ++i) for_successors(i, [&](u32 next) { ++first[next + 1]; });
        std::partial_sum(first.begin(), first.end(), first.begin());
        std::vector<u32> from(first.back());
        std::vector<u32> filled(first.begin(), first.end() - 1);
        for (u32 i = 0; i < size_; ++i) for_successors(i, [&](u32 next) { from[filled[next]++] = i; });

        for (const u32 i : work) nodes_[i].useful = true;
        while (!work.empty()) {
            const u32 i = work.back();
            work.pop_back();
            for (u32 k = first[i]; k < first[i + 1]; ++k) {
                if (std::exchange(nodes_[from[k]].useful, true)) continue;
                work.push_back(from[k]);
            }
        }
    }

    /// Also finds what is reached. Loops: an insn is deeper only by what comes before it in the program. Each
    /// insn is looked at once, and again whenever it turns out deeper.
    void count_depths() {
        nodes_[0].reached = true;
        std::vector<u32> work{0};
        while (!work.empty()) {
            const u32 i = work.back();
            work.pop_back();
            Node& node = nodes_[i];
            if (!node.useful) continue;
            // Further lookups would need further passes.
            if (node.fate == Fate::site && node.depth >= kAheadPasses) node.fate = Fate::end;
            const u32 depth = node.depth + (node.fate == Fate::site);
            for_successors(i, [&](u32 next) {
                Node& to = nodes_[next];
                const bool deeper = next > i && to.depth < depth;
                if (deeper) to.depth = depth;
                if (!std::exchange(to.reached, true) || deeper) work.push_back(next);
            });
        }
    }

    Slice emit() {
        Slice made{{draft_.program, {}}, std::make_shared<std::vector<AheadSite>>()};
        out_ = &made.draft.insns;
        // Insns hold the addresses of sites.
        made.sites->reserve(static_cast<std::size_t>(std::ranges::count(nodes_, Fate::site, &Node::fate)));
        for (u32 i = 0; i < size_; ++i) {
            if (!nodes_[i].reached) continue;
            if (nodes_[i].useful)
                emit(i, *made.sites);
            else
                add(i, make_insn(Op::exit, 0, 0, 0, 0));
        }
        return made;
    }

    void emit(u32 i, std::vector<AheadSite>& sites) {
        LoweredInsn insn = draft_.insns[i].insn;
        switch (nodes_[i].fate) {
        case Fate::keep: return add(i, insn);
        case Fate::drop: return;
        case Fate::clear: return add(i, make_insn(Op::mov32_imm, cleared_register(insn), 0, 0, 0));
        case Fate::site: return emit_site(i, sites);
        case Fate::leave:
            insn.flags |= kRunsAhead;
            add(i, insn);
            [[fallthrough]];
        case Fate::end: return add(i, make_insn(Op::exit, 0, 0, 0, 0));
        }
    }

    void emit_site(u32 i, std::vector<AheadSite>& sites) {
        const u32 origin = draft_.insns[i].origin;
        const bool followed = nodes_[i + 1].useful;
        const Map* const map = draft_.program.facts()[origin].map;
        const std::optional<Key> words = find_key(i, map->spec().key_size);
        const AheadSite& site = sites.emplace_back(map, nodes_[i].depth, followed, words.has_value());
        const auto address = [](auto* pointer) {
            return static_cast<i64>(reinterpret_cast<std::uintptr_t>(pointer));
        };
        if (words) load_words(i, *words);
        add(i, make_insn(Op::ld_imm64, R1, 0, 0, address(&site)));
        LoweredInsn call = make_insn(Op::call_helper, 0, 0, BPF_FUNC_unspec, address(&ahead_visit));
        call.flags = kRunsAhead;
        add(i, call);
        if (followed) add(i, make_insn(Op::jne64_imm, R0, 0, static_cast<i32>(origin + 1), kAheadStop));
        add(i, make_insn(Op::exit, 0, 0, 0, 0));
    }

    /// Where a lookup's key lies on the stack, if that can be told from the insns just before it.
    struct Key {
        i32 offset; ///< from r10
        i32 size;
    };
    std::optional<Key> find_key(u32 call, u32 size) const {
        if (size > kKeyWordsBytes) return {};
        u8 reg = R2;
        i64 offset = 0;
        for (u32 i = call; i-- > 0;) {
            const LoweredInsn& insn = draft_.insns[i].insn;
            if (info(insn.op).kind == OpKind::jump || ends_block(insn.op)) return {};
            if (insn.dst != reg || info(insn.op).kind == OpKind::st || info(insn.op).kind == OpKind::stx)
                continue;
            if (insn.op == Op::add64_imm) {
                offset += insn.imm;
            } else if (insn.op == Op::mov64_reg) {
                reg = insn.src;
            } else {
                return {};
            }
            if (reg != R10) continue;
            const i64 depth = draft_.program.functions().front().stack_depth;
            if (offset < -depth || offset + size > 0) return {};
            return Key{static_cast<i32>(offset), static_cast<i32>(size)};
        }
        return {};
    }

    /// Bytes, a power of two, that are stored together at this offset of the stack, not too far in front of
    /// the lookup; at most `most`. Any answer will do: loads as wide as the stores were are only faster.
    [[nodiscard]] i32 stored_at(u32 call, i32 offset, i32 most) const {
        constexpr u32 kFar = 128;
        i32 width = static_cast<i32>(std::bit_floor(static_cast<u32>(most)));
        for (u32 i = call > kFar ? call - kFar : 0; i < call; ++i) {
            const LoweredInsn& insn = draft_.insns[i].insn;
            const OpcodeInfo& row = info(insn.op);
            if ((row.kind != OpKind::st && row.kind != OpKind::stx) || insn.dst != R10) continue;
            const i32 begin = insn.off;
            const i32 end = begin + row.width / 8;
            if (begin <= offset && offset < end) width = std::min(width, end - offset);
            if (begin > offset && begin < offset + width) width = begin - offset;
        }
        return static_cast<i32>(std::bit_floor(static_cast<u32>(width)));
    }

    /// r3, r4, r5: the key's words.
    void load_words(u32 i, const Key& key) {
        for (i32 at = 0; at < static_cast<i32>(kKeyWordsBytes); at += 8) {
            const u8 word = static_cast<u8>(R3 + at / 8);
            if (at >= key.size) {
                add(i, make_insn(Op::mov32_imm, word, 0, 0, 0));
                continue;
            }
            const i32 end = std::min(at + 8, key.size);
            for (i32 from = at; from < end;) {
                const i32 width = stored_at(i, key.offset + from, end - from);
                const u8 to = from == at ? word : u8{R0};
                add(i, make_insn(load_op(static_cast<u32>(width) * 8), to, R10, key.offset + from, 0));
                if (from != at) {
                    add(i, make_insn(Op::lsh64_imm, R0, 0, 0, (from - at) * 8));
                    add(i, make_insn(Op::or64_reg, word, R0, 0, 0));
                }
                from += width;
            }
        }
    }

    void add(u32 i, const LoweredInsn& insn) { out_->push_back({insn, draft_.insns[i].origin}); }

    const Draft& draft_;
    u32 size_; ///< insns of the main program: sub-programs end the slice
    std::vector<Node> nodes_;
    std::vector<DraftInsn>* out_ = nullptr;
};

} // namespace

std::optional<Slice> slice(const Draft& draft) {
    if (draft.program.functions().empty()) return {};
    return Slicer(draft).run();
}

} // namespace xdplane
