// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/remote/served_call.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <cstring>
#include <deque>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/mman.h>

#include "bpf/remote/call_table.h"
#include "bpf/remote/fdinfo.h"
#include "bpf/remote/served_interfaces.h"
#include "bpf/syscall/bpf_system.h"
#include "bpf/syscall/pins.h"
#include "bpf/syscall/test_run.h"

namespace xdplane::remote {
namespace {

/// Memory of the client's: as it came, as it was made ready for the call, and as the call works on it.
struct Piece {
    std::vector<u8> original;
    std::vector<u8> before;
    std::vector<u8> bytes; ///< one NUL longer, so that no text runs on and no address is null
    std::size_t size = 0;
    bool out = false;
};

Piece piece_of(std::span<const u8> from, std::size_t room, bool out) {
    Piece piece;
    piece.bytes.assign(from.begin(), from.end());
    piece.bytes.resize(room + 1);
    if (out) piece.original = piece.bytes;
    piece.size = from.size();
    piece.out = out;
    return piece;
}

/// Numbers that name nothing here: one that is not open, one that is and is no object's.
constexpr i32 kNotOpen = INT_MAX;

/// Takes the request apart along the walk.
class Server final : public CallWalker {
public:
    Server(std::span<const i32> slots, std::span<const u8> body, std::span<const ReceivedFd> fds,
           int stranger)
        : slots_(slots), body_(body), fds_(fds), stranger_(stranger) {}

    void fd(u8* field) override {
        i32 value;
        std::memcpy(&value, field, sizeof value);
        i32 slot = kStranger;
        if (slots_.empty())
            broken_ = true;
        else
            slot = slots_.front();
        slots_ = slots_.subspan(slots_.empty() ? 0 : 1);
        if (slot == kUntouched && value <= 0) return;
        if (slot == kClosed)
            value = kNotOpen;
        else
            value = slot >= 0 && static_cast<u32>(slot) < fds_.size() ? object(static_cast<u32>(slot))
                                                                      : stranger_;
        std::memcpy(field, &value, sizeof value);
    }

    Shape shape(i32 fd) override { return shape_of(fd); }

    u8* memory(const Pointer& pointer, u8* field, u64 size) override {
        const bool text = pointer.extent == Extent::text || pointer.extent == Extent::path;
        if (text) {
            const auto end = std::ranges::find(body_, u8{0});
            size = std::min<u64>(size, static_cast<u64>(end - body_.begin()) + 1);
        }
        if (size > body_.size()) {
            broken_ = true;
            return nullptr;
        }
        pieces_.push_back(piece_of(body_.first(size), size, pointer.out));
        body_ = body_.subspan(size);
        u8* const bytes = pieces_.back().bytes.data();
        const auto address = reinterpret_cast<u64>(bytes);
        std::memcpy(field, &address, sizeof address);
        return bytes;
    }

    void set_size(u8* field, u32 size) override { std::memcpy(field, &size, sizeof size); }
    int error() const override { return EPROTO; }

    /// Nothing was missing, nothing is left over.
    [[nodiscard]] bool whole() const { return !broken_ && slots_.empty() && body_.empty(); }
    [[nodiscard]] std::deque<Piece>& pieces() { return pieces_; }

    static Shape shape_of(i32 fd) {
        const ObjectRef object = ObjectTable::instance().find(fd);
        if (const auto* map = std::get_if<std::shared_ptr<Map>>(&object))
            return {Kind::map, (*map)->spec().type, (*map)->spec().key_size, (*map)->syscall_value_size()};
        if (std::holds_alternative<std::shared_ptr<const Program>>(object)) return {.kind = Kind::program};
        if (std::holds_alternative<std::shared_ptr<const Btf>>(object)) return {.kind = Kind::btf};
        return {};
    }

private:
    [[nodiscard]] i32 object(u32 slot) const {
        return is_memory(fds_[slot].get()) ? fds_[slot].get() : stranger_;
    }

    std::span<const i32> slots_;
    std::span<const u8> body_;
    std::span<const ReceivedFd> fds_;
    int stranger_;
    bool broken_ = false;
    std::deque<Piece> pieces_; ///< where each stays where it is
};

void append(std::vector<u8>& to, const void* from, std::size_t size) {
    const auto* bytes = static_cast<const u8*>(from);
    to.insert(to.end(), bytes, bytes + size);
}

/// What the call wrote into a piece, put upon what the client has there: pointers and fds are the client's
/// again.
u32 append_change(std::vector<u8>& to, u32 number, Piece& piece) {
    if (!piece.out) return 0;
    const auto differs = [&](std::size_t i) { return piece.bytes[i] != piece.before[i]; };
    std::size_t begin = 0;
    std::size_t end = piece.size;
    while (begin < end && !differs(begin)) ++begin;
    while (end > begin && !differs(end - 1)) --end;
    if (begin == end) return 0;
    for (std::size_t i = begin; i < end; ++i)
        if (differs(i)) piece.original[i] = piece.bytes[i];
    const Change change{number, static_cast<u32>(begin), static_cast<u32>(end - begin), 0};
    append(to, &change, sizeof change);
    append(to, &piece.original[begin], end - begin);
    return 1;
}

template<class T>
T attributes_as(const Piece& attributes) {
    T call;
    std::memcpy(&call, attributes.bytes.data(), sizeof call);
    return call;
}

long get_shape(Piece& attributes) {
    auto call = attributes_as<ShapeCall>(attributes);
    call.shape = Server::shape_of(static_cast<i32>(call.fd));
    std::memcpy(attributes.bytes.data(), &call, sizeof call);
    return 0;
}

long get_memory(Piece& attributes, UniqueFd& memory) {
    auto call = attributes_as<MemoryCall>(attributes);
    const auto fd = static_cast<int>(call.fd);
    const auto protection = static_cast<int>(call.protection);
    const int allowed = check_object_mmap(fd, protection, static_cast<int>(call.flags));
    if (allowed != 0) return allowed > 0 ? kElsewhere : allowed;
    int mode = O_RDWR;
    const ObjectRef object = ObjectTable::instance().find(fd, &mode);
    const auto& map = std::get<std::shared_ptr<Map>>(object);
    const bool write = (protection & PROT_WRITE) != 0;
    if (write && mode == O_RDONLY) return -EACCES;
    const std::string path = fmt::format("/proc/self/fd/{}", map->storage_fd());
    memory = UniqueFd(::open(path.c_str(), (write ? O_RDWR : O_RDONLY) | O_CLOEXEC));
    if (!memory) return -errno;
    const u32 type = map->spec().type;
    call.user_produces = type == BPF_MAP_TYPE_USER_RINGBUF ? 1 : 0;
    call.ring_size = call.user_produces != 0 || type == BPF_MAP_TYPE_RINGBUF ? map->spec().max_entries : 0;
    std::memcpy(attributes.bytes.data(), &call, sizeof call);
    return 0;
}

long get_waiter(const Piece& attributes, UniqueFd& waiter) {
    const auto call = attributes_as<WaiterCall>(attributes);
    const auto fd = static_cast<int>(call.fd);
    const int stand_in = epoll_stand_in(fd, call.add != 0);
    if (stand_in < 0) return stand_in;
    if (stand_in == fd) return kElsewhere;
    waiter = UniqueFd(::fcntl(stand_in, F_DUPFD_CLOEXEC, 0));
    return waiter ? 0 : -errno;
}

long get_fdinfo(const Piece& attributes) {
    const auto call = attributes_as<FdinfoCall>(attributes);
    const std::string text = fdinfo(ObjectTable::instance().find(static_cast<int>(call.fd)));
    if (text.empty()) return -EINVAL;
    if (call.text == 0) return -EFAULT;
    const std::size_t size = std::min<std::size_t>(text.size(), call.size);
    std::memcpy(reinterpret_cast<char*>(call.text), text.data(), size);
    return static_cast<long>(size);
}

/// Paths outside of the daemon's roots are never looked at: a file system may keep us waiting.
bool is_elsewhere(u64 path) {
    return path != 0 && !PinTable::instance().look_up(reinterpret_cast<const char*>(path));
}

long on_path(const Piece& attributes) {
    const auto call = attributes_as<PathCall>(attributes);
    const auto* const path = reinterpret_cast<const char*>(call.path);
    if (path == nullptr) return -EFAULT;
    PinTable& pins = PinTable::instance();
    std::optional<int> done = -EINVAL;
    switch (call.operation) {
    case PathOperation::look_up: done = pins.look_up(path); break;
    case PathOperation::make_directory: done = pins.make_directory(path); break;
    case PathOperation::remove_directory: done = pins.remove_directory(path); break;
    case PathOperation::unlink: done = pins.unlink(path); break;
    }
    return done.value_or(static_cast<int>(kElsewhere));
}

long set_xdp(Piece& attributes) {
    auto call = attributes_as<SetXdpCall>(attributes);
    const long result = set_xdp(call);
    std::memcpy(attributes.bytes.data(), &call, sizeof call);
    return result;
}

/// An fd that the command made becomes a handle.
long hand_out(long result, Handles& handles, UniqueFd& handle) {
    int access = O_RDWR;
    const auto fd = static_cast<int>(result);
    const ObjectRef object = ObjectTable::instance().find(fd, &access);
    const int opened = handles.open(object, access);
    close_object_fd(fd);
    if (opened < 0) return opened;
    handle = UniqueFd(opened);
    return 0;
}

long run(const RemoteCall& call, Piece& attributes, Handles& handles, UniqueFd& fd) {
    switch (call.command) {
    case kGetShape: return get_shape(attributes);
    case kGetMemory: return get_memory(attributes, fd);
    case kGetFdinfo: return get_fdinfo(attributes);
    case kOnPath: return on_path(attributes);
    case kGetWaiter: return get_waiter(attributes, fd);
    case kSettle: settle_epoll(); return 0;
    case kListInterfaces: return list_interfaces(attributes_as<InterfacesCall>(attributes));
    case kSetXdp: return set_xdp(attributes);
    case BPF_OBJ_PIN:
        if (is_elsewhere(attributes_as<bpf_attr>(attributes).pathname)) return -EPERM;
        break;
    case BPF_OBJ_GET:
        if (is_elsewhere(attributes_as<bpf_attr>(attributes).pathname)) return -EACCES;
        break;
    default: break;
    }
    const TestRunLimit limit{std::chrono::seconds(kTestRunSeconds)};
    const long result = bpf_syscall(call.command, attributes.bytes.data(), static_cast<u32>(attributes.size));
    return call.makes_fd && result >= 0 ? hand_out(result, handles, fd) : result;
}

Reply reply_of(long result, std::deque<Piece>& pieces, UniqueFd fd) {
    Reply reply{.bytes = std::vector<u8>(sizeof(ReplyHeader)), .fd = std::move(fd)};
    ReplyHeader header{
        .magic = kReplyMagic, .size = 0, .result = result, .fds = reply.fd ? 1U : 0U, .changes = 0};
    for (std::size_t i = 0; i < pieces.size(); ++i)
        header.changes += append_change(reply.bytes, static_cast<u32>(i), pieces[i]);
    header.size = static_cast<u32>(reply.bytes.size() - sizeof header);
    std::memcpy(reply.bytes.data(), &header, sizeof header);
    return reply;
}

} // namespace

ReceivedFd::~ReceivedFd() {
    if (fd_ >= 0) close_object_fd(fd_);
}

bool is_memory(int fd) { return fd >= 0 && ::fcntl(fd, F_GET_SEALS) >= 0; }

Result<Reply> serve_call(const RequestHeader& header, std::span<const u8> body,
                         std::span<const ReceivedFd> fds, Handles& handles) {
    const u64 slots = u64{header.slots} * sizeof(i32);
    if (header.attributes > kMaxAttributes || header.slots > kMaxSlots ||
        slots + header.attributes > body.size())
        return fail(EPROTO, "a request is shorter than it says");
    const RemoteCall* const call = find_remote_call(header.command);
    if (call == nullptr) return refuse_call(EINVAL);

    std::vector<i32> slot_numbers(header.slots);
    if (slots != 0) std::memcpy(slot_numbers.data(), body.data(), slots);
    Server server(slot_numbers, body.subspan(slots + header.attributes), fds, handles.fd());
    std::deque<Piece> pieces;
    // Room for all there can be: the walk, and who reads a whole structure, find zeros behind the end.
    pieces.push_back(piece_of(body.subspan(slots, header.attributes), kMaxAttributes, true));
    Piece& attributes = pieces.front();
    const int error = walk_call(*call, std::span<u8, kMaxAttributes>(attributes.bytes.data(), kMaxAttributes),
                                header.attributes, server);
    if (error == EINVAL || error == EFAULT) return refuse_call(error);
    if (error != 0 || !server.whole()) return fail(EPROTO, "a request does not hold what its command takes");
    std::ranges::move(server.pieces(), std::back_inserter(pieces));
    for (Piece& piece : pieces)
        if (piece.out) piece.before = piece.bytes;

    handles.collect(); // what is closed by now is gone by now
    UniqueFd fd;
    const long result = run(*call, pieces.front(), handles, fd);
    return reply_of(result, pieces, std::move(fd));
}

Reply refuse_call(int code) {
    std::deque<Piece> none;
    return reply_of(-code, none, {});
}

} // namespace xdplane::remote
