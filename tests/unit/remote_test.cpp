// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// bpf(2) over a socket: what a client may do wrong, and when objects go.
#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <poll.h>
#include <random>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <vector>

#include "bpf/remote/served_call.h"
#include "bpf/remote/user_memory.h"
#include "bpf/syscall/bpf_system.h"
#include "tests/support/eventually.h"
#include "tests/unit/remote_side.h"

using namespace xdplane;
using namespace xdplane::remote;

namespace {

bpf_attr zero_attr() {
    bpf_attr attr;
    std::memset(static_cast<void*>(&attr), 0, sizeof attr);
    return attr;
}
u64 address(const void* pointer) { return reinterpret_cast<u64>(pointer); }

long make_map(u32 type = BPF_MAP_TYPE_HASH, u32 flags = 0) {
    auto attr = zero_attr();
    attr.map_type = type;
    attr.key_size = 4;
    attr.value_size = 8;
    attr.max_entries = 16;
    attr.map_flags = flags;
    return forward(BPF_MAP_CREATE, &attr, sizeof attr);
}
long element(u32 command, int map, const void* key, const void* value) {
    auto attr = zero_attr();
    attr.map_fd = static_cast<u32>(map);
    attr.key = address(key);
    attr.value = address(value);
    return forward(command, &attr, sizeof attr);
}
u32 id_of(int map) {
    bpf_map_info info{};
    auto attr = zero_attr();
    attr.info.bpf_fd = static_cast<u32>(map);
    attr.info.info_len = sizeof info;
    attr.info.info = address(&info);
    return forward(BPF_OBJ_GET_INFO_BY_FD, &attr, sizeof attr) == 0 ? info.id : 0;
}
/// As the server's process sees it.
bool lives(u32 id) {
    auto attr = zero_attr();
    attr.map_id = id;
    const long fd = bpf_syscall(BPF_MAP_GET_FD_BY_ID, &attr, sizeof attr);
    if (fd < 0) return false;
    close_object_fd(static_cast<int>(fd));
    return true;
}

class Remote : public testing::Test {
protected:
    test::ServerThread server_;
};

/// A connection without manners.
class RawClient {
public:
    explicit RawClient(const std::string& path) : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
        sockaddr_un to{.sun_family = AF_UNIX, .sun_path = {}};
        path.copy(to.sun_path, sizeof to.sun_path - 1);
        connected_ = ::connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
    }
    [[nodiscard]] bool connected() const { return connected_; }
    void send(const void* bytes, std::size_t size) const {
        (void)!::send(fd_.get(), bytes, size, MSG_NOSIGNAL);
    }
    void send_fds(const void* bytes, std::size_t size, const std::vector<int>& fds) const {
        std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
        iovec data{const_cast<void*>(bytes), size};
        msghdr message{};
        message.msg_iov = &data;
        message.msg_iovlen = 1;
        message.msg_control = control.data();
        message.msg_controllen = control.size();
        cmsghdr* const rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET;
        rights->cmsg_type = SCM_RIGHTS;
        rights->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
        std::memcpy(CMSG_DATA(rights), fds.data(), fds.size() * sizeof(int));
        (void)::sendmsg(fd_.get(), &message, MSG_NOSIGNAL);
    }
    /// Bytes that came before the other end closed, or `wanted` of them.
    [[nodiscard]] std::vector<u8> receive(std::size_t wanted) const {
        std::vector<u8> bytes(wanted);
        std::size_t got = 0;
        while (got < wanted) {
            pollfd waiting{fd_.get(), POLLIN, 0};
            if (::poll(&waiting, 1, 60'000) != 1) ADD_FAILURE() << "no answer";
            const ssize_t size = ::recv(fd_.get(), &bytes[got], wanted - got, 0);
            if (size <= 0) break;
            got += static_cast<std::size_t>(size);
        }
        bytes.resize(got);
        return bytes;
    }
    [[nodiscard]] bool closed() const { return receive(1).empty(); }

private:
    UniqueFd fd_;
    bool connected_ = false;
};

RequestHeader header_of(u32 command, u32 attributes, u32 size) {
    return {.magic = kRequestMagic,
            .command = command,
            .attributes = attributes,
            .slots = 0,
            .fds = 0,
            .size = size};
}

TEST_F(Remote, ElementsGoThereAndBack) {
    const UniqueFd map(static_cast<int>(make_map()));
    ASSERT_GE(map.get(), 0);
    const u32 key = 3;
    const u64 value = 77;
    EXPECT_EQ(element(BPF_MAP_UPDATE_ELEM, map.get(), &key, &value), 0);
    u64 read = 0;
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, &read), 0);
    EXPECT_EQ(read, 77U);
    EXPECT_EQ(element(BPF_MAP_DELETE_ELEM, map.get(), &key, nullptr), 0);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, &read), -ENOENT);
}

TEST_F(Remote, OnlyWhatWasWrittenIsWritten) {
    std::array<u32, 16> guarded{};
    guarded.fill(0xa5a5a5a5);
    const UniqueFd map(static_cast<int>(make_map(BPF_MAP_TYPE_ARRAY)));
    const u32 key = 0;
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, &guarded[4]), 0);
    EXPECT_EQ(guarded[3], 0xa5a5a5a5);
    EXPECT_EQ(guarded[4], 0U);
    EXPECT_EQ(guarded[5], 0U);
    EXPECT_EQ(guarded[6], 0xa5a5a5a5);
    const u32 beyond = 99;
    guarded.fill(0xa5a5a5a5);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &beyond, &guarded[4]), -ENOENT);
    EXPECT_EQ(guarded[4], 0xa5a5a5a5);
}

TEST_F(Remote, BadAddressesAreErrors) {
    const UniqueFd map(static_cast<int>(make_map()));
    const u32 key = 3;
    const auto* const nowhere = reinterpret_cast<const void*>(16);
    u64 value = 1;
    EXPECT_EQ(element(BPF_MAP_UPDATE_ELEM, map.get(), nowhere, &value), -EFAULT);
    EXPECT_EQ(element(BPF_MAP_UPDATE_ELEM, map.get(), &key, nowhere), -EFAULT);
    EXPECT_EQ(element(BPF_MAP_UPDATE_ELEM, map.get(), &key, &value), 0);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, nowhere), -EFAULT);
    EXPECT_EQ(forward(BPF_MAP_CREATE, reinterpret_cast<void*>(16), 64), -EFAULT);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, &value), 0) << "it goes on";
}

TEST_F(Remote, StrangersAreRefused) {
    const u32 key = 0;
    u64 value = 0;
    const UniqueFd memory(memfd_create("bpf-map", MFD_CLOEXEC));
    const UniqueFd socket(::socket(AF_UNIX, SOCK_STREAM, 0));
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, memory.get(), &key, &value), -EINVAL);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, socket.get(), &key, &value), -EINVAL);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, 9999, &key, &value), -EBADF);
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, -1, &key, &value), -EBADF);
}

TEST_F(Remote, ObjectsGoWithTheirLastFdAnywhere) {
    const int map = static_cast<int>(make_map());
    const u32 id = id_of(map);
    ASSERT_TRUE(lives(id));
    const int copy = dup(map);
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    const pid_t child = fork();
    if (child == 0) {
        char byte;
        (void)!read(pair[1], &byte, 1); // keeps both fds until told
        _exit(0);
    }
    close(map);
    close(copy);
    const UniqueFd other(static_cast<int>(make_map())); // the server has seen what there was to see
    EXPECT_TRUE(lives(id)) << "the child has it";
    (void)!write(pair[0], "x", 1);
    waitpid(child, nullptr, 0);
    EXPECT_TRUE(eventually([&] { return !lives(id); }));
    close(pair[0]);
    close(pair[1]);
}

TEST_F(Remote, ProgramArraysKeepTheirProgramsWhileSomebodyHasOne) {
    const UniqueFd array([] {
        auto attr = zero_attr();
        attr.map_type = BPF_MAP_TYPE_PROG_ARRAY;
        attr.key_size = attr.value_size = 4;
        attr.max_entries = 1;
        return static_cast<int>(forward(BPF_MAP_CREATE, &attr, sizeof attr));
    }());
    const bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    auto attr = zero_attr();
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.insns = address(pass);
    attr.insn_cnt = 2;
    attr.license = address("GPL");
    int program = static_cast<int>(forward(BPF_PROG_LOAD, &attr, sizeof attr));
    ASSERT_GE(program, 0);
    const u32 key = 0;
    ASSERT_EQ(element(BPF_MAP_UPDATE_ELEM, array.get(), &key, &program), 0);
    close(program);
    u32 id = 0;
    {
        // Another fd for it comes and goes, of the server's own even.
        auto get = zero_attr();
        get.map_id = id_of(array.get());
        const UniqueFd again(static_cast<int>(forward(BPF_MAP_GET_FD_BY_ID, &get, sizeof get)));
        EXPECT_TRUE(lives(id_of(array.get())));
    }
    const UniqueFd other(static_cast<int>(make_map()));
    EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, array.get(), &key, &id), 0);
    EXPECT_NE(id, 0U);
}

TEST_F(Remote, ChildrenHaveConnectionsOfTheirOwn) {
    const UniqueFd map(static_cast<int>(make_map()));
    const u32 key = 1;
    u64 value = 5;
    ASSERT_EQ(element(BPF_MAP_UPDATE_ELEM, map.get(), &key, &value), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; ++i) {
        children.push_back(fork());
        if (children.back() != 0) continue;
        long wrong = 0;
        for (int n = 0; n < 100; ++n)
            wrong += element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, &value) != 0 || value != 5;
        _exit(wrong == 0 ? 0 : 1);
    }
    for (int n = 0; n < 100; ++n) EXPECT_EQ(element(BPF_MAP_LOOKUP_ELEM, map.get(), &key, &value), 0);
    for (const pid_t child : children) {
        int status = -1;
        waitpid(child, &status, 0);
        EXPECT_EQ(status, 0);
    }
}

TEST_F(Remote, ConnectionsThatAProgramClosedAreMadeAnew) {
    const UniqueFd map(static_cast<int>(make_map()));
    for (int fd = 3; fd < 2000; ++fd)
        if (struct stat st{}; fd != map.get() && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode)) {
            sockaddr_un peer{};
            socklen_t size = sizeof peer;
            if (getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) == 0 &&
                server_.path() == peer.sun_path)
                dup2(STDERR_FILENO, fd);
        }
    EXPECT_NE(id_of(map.get()), 0U);
}

TEST_F(Remote, GarbageIsHungUpOn) {
    std::mt19937_64 random(20261130);
    for (int round = 0; round < 200; ++round) {
        const RawClient client(server_.path());
        ASSERT_TRUE(client.connected());
        std::vector<u8> bytes(sizeof(RequestHeader) + random() % 3000);
        for (u8& byte : bytes) byte = static_cast<u8>(random());
        if (bytes[0] == 'x') bytes[0] = 'y'; // no magic by chance
        client.send(bytes.data(), bytes.size());
        EXPECT_TRUE(client.closed());
    }
    EXPECT_GE(UniqueFd(static_cast<int>(make_map())).get(), 0);
}

TEST_F(Remote, HeadersThatLieAreHungUpOn) {
    RequestHeader lies[] = {header_of(BPF_MAP_GET_NEXT_ID, 12, 12), header_of(BPF_MAP_GET_NEXT_ID, 5000, 12),
                            header_of(BPF_MAP_GET_NEXT_ID, 12, 12), header_of(BPF_MAP_GET_NEXT_ID, 12, ~0U),
                            header_of(BPF_MAP_GET_NEXT_ID, 12, 8),  header_of(BPF_MAP_GET_NEXT_ID, 12, 12)};
    lies[0].slots = 1;
    lies[2].slots = ~0U;
    lies[5].fds = 3;
    const u8 body[12] = {};
    for (const RequestHeader& header : lies) {
        const RawClient client(server_.path());
        client.send(&header, sizeof header);
        client.send(body, std::min<std::size_t>(header.size, sizeof body));
        EXPECT_TRUE(client.closed());
    }
    EXPECT_GE(UniqueFd(static_cast<int>(make_map())).get(), 0);
}

TEST_F(Remote, FdsThatNobodyAskedForAreClosed) {
    const auto open_fds = [] {
        int count = 0;
        for (int fd = 0; fd < 1024; ++fd) count += fcntl(fd, F_GETFD) >= 0;
        return count;
    };
    (void)make_map(); // the connection is there
    const int before = open_fds();
    {
        const RawClient client(server_.path());
        int ends[2];
        ASSERT_EQ(pipe(ends), 0);
        const RequestHeader header = header_of(BPF_MAP_GET_NEXT_ID, 0, 0);
        client.send_fds(&header, sizeof header, std::vector<int>(200, ends[0]));
        close(ends[0]);
        close(ends[1]);
        EXPECT_TRUE(client.closed());
    }
    // The server may still have been closing something when they were counted.
    EXPECT_TRUE(eventually([&] { return open_fds() <= before; })) << open_fds() << " not " << before;
}

TEST_F(Remote, ClientsThatDieInTheMiddleAreForgotten) {
    const u32 id = [] {
        const UniqueFd map(static_cast<int>(make_map()));
        return id_of(map.get());
    }();
    for (int round = 0; round < 50; ++round) {
        const pid_t child = fork();
        if (child == 0) {
            for (;;) {
                const UniqueFd map(static_cast<int>(make_map()));
                const u32 key = 1;
                const u64 value = 5;
                (void)element(BPF_MAP_UPDATE_ELEM, map.get(), &key, &value);
            }
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(round % 7));
        kill(child, SIGKILL);
        waitpid(child, nullptr, 0);
    }
    EXPECT_GE(UniqueFd(static_cast<int>(make_map())).get(), 0);
    // None of theirs is left.
    EXPECT_TRUE(eventually([&] {
        auto attr = zero_attr();
        attr.start_id = id;
        return bpf_syscall(BPF_MAP_GET_NEXT_ID, &attr, sizeof attr) == -ENOENT;
    }));
}

TEST_F(Remote, TheNextClientIsToldThatThereAreTooMany) {
    std::vector<std::unique_ptr<RawClient>> clients;
    for (u32 i = 0; i < kMaxBpfClients; ++i) {
        clients.push_back(std::make_unique<RawClient>(server_.path()));
        ASSERT_TRUE(clients.back()->connected());
    }
    const RawClient late(server_.path());
    ReplyHeader reply{};
    const auto bytes = late.receive(sizeof reply);
    ASSERT_EQ(bytes.size(), sizeof reply);
    std::memcpy(&reply, bytes.data(), sizeof reply);
    EXPECT_EQ(reply.result, -EUSERS);
    EXPECT_TRUE(late.closed());
    clients.clear();
    EXPECT_TRUE(eventually([] { return UniqueFd(static_cast<int>(make_map())).get() >= 0; }));
}

TEST(Handles, AreCountedAndComeBack) {
    constexpr rlim_t kWanted = Handles::kMaxHandles + 512;
    rlimit limit{};
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_max < kWanted) GTEST_SKIP() << "only " << limit.rlim_max << " fds";
    const rlimit more{.rlim_cur = kWanted, .rlim_max = limit.rlim_max};
    setrlimit(RLIMIT_NOFILE, &more);
    auto made = Handles::make();
    ASSERT_TRUE(made);
    Handles& handles = **made;
    auto map = create_map({.type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1});
    ASSERT_TRUE(map);
    const std::weak_ptr<Map> watched = *map;
    std::vector<UniqueFd> fds;
    int result = 0;
    while (result >= 0 && fds.size() <= Handles::kMaxHandles) {
        result = handles.open(*map, O_RDWR);
        if (result >= 0) fds.emplace_back(result);
    }
    EXPECT_EQ(result, -EMFILE);
    EXPECT_EQ(fds.size(), Handles::kMaxHandles);
    map->reset();
    EXPECT_FALSE(watched.expired());
    fds.clear();
    handles.collect();
    EXPECT_EQ(handles.size(), 0U);
    EXPECT_TRUE(watched.expired());
    setrlimit(RLIMIT_NOFILE, &limit);
}

TEST_F(Remote, LongTestRunsEnd) {
    const bpf_insn pass[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 2},
        {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
    auto attr = zero_attr();
    attr.prog_type = BPF_PROG_TYPE_XDP;
    attr.insns = address(pass);
    attr.insn_cnt = 2;
    attr.license = address("GPL");
    const UniqueFd program(static_cast<int>(forward(BPF_PROG_LOAD, &attr, sizeof attr)));
    ASSERT_GE(program.get(), 0);
    const u8 packet[64] = {};
    attr = zero_attr();
    attr.test.prog_fd = static_cast<u32>(program.get());
    attr.test.data_in = address(packet);
    attr.test.data_size_in = sizeof packet;
    attr.test.repeat = 1000;
    EXPECT_EQ(forward(BPF_PROG_TEST_RUN, &attr, sizeof attr), 0);
    EXPECT_EQ(attr.test.retval, 2U);
    attr.test.repeat = ~0U;
    EXPECT_EQ(forward(BPF_PROG_TEST_RUN, &attr, sizeof attr), -EINTR);
}

TEST_F(Remote, CallsBeyondTheLimitAreRefused) {
    auto attr = zero_attr();
    const u8 byte = 0;
    attr.btf = address(&byte);
    attr.btf_size = kMaxMessage + 1;
    EXPECT_EQ(forward(BPF_BTF_LOAD, &attr, sizeof attr), -E2BIG);
    EXPECT_EQ(forward(BPF_ITER_CREATE, &attr, sizeof attr), -EINVAL) << "no row, no call";
    for (u32 size = 0; size < sizeof attr; ++size) {
        // Every field may be cut in two.
        attr = zero_attr();
        std::memset(static_cast<void*>(&attr), 0x11, size);
        for (const u32 command : {BPF_MAP_LOOKUP_ELEM, BPF_PROG_TEST_RUN, BPF_OBJ_GET_INFO_BY_FD,
                                  BPF_PROG_LOAD, BPF_BTF_LOAD, BPF_MAP_LOOKUP_BATCH, BPF_OBJ_PIN})
            EXPECT_LT(forward(command, &attr, size), 0);
    }
}

TEST_F(Remote, TooManyFdsAreRefused) {
    auto create = zero_attr();
    create.map_type = BPF_MAP_TYPE_PROG_ARRAY;
    create.key_size = create.value_size = 4;
    create.max_entries = 1024;
    const UniqueFd array(static_cast<int>(forward(BPF_MAP_CREATE, &create, sizeof create)));
    ASSERT_GE(array.get(), 0);
    std::vector<UniqueFd> copies;
    std::vector<int> values;
    for (u32 i = 0; i < kMaxFds; ++i) {
        copies.emplace_back(dup(array.get()));
        values.push_back(copies.back().get());
    }
    const std::vector<u32> keys(values.size());
    auto attr = zero_attr();
    attr.batch.map_fd = static_cast<u32>(array.get());
    attr.batch.keys = address(keys.data());
    attr.batch.values = address(values.data());
    attr.batch.count = kMaxFds;
    EXPECT_EQ(forward(BPF_MAP_UPDATE_BATCH, &attr, sizeof attr), -E2BIG) << "with the map's own one more";
    attr.batch.count = kMaxFds - 1;
    EXPECT_EQ(forward(BPF_MAP_UPDATE_BATCH, &attr, sizeof attr), -524) << "an array has no batches";
}

/// Whoever sends a socket whose close(2) waits 10 minutes for its other end is hung up on; nobody else waits.
TEST_F(Remote, FdsThatAreSlowToCloseKeepNobodyWaiting) {
    for (int round = 0; round < 4; ++round) {
        const UniqueFd listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        sockaddr_in here{
            .sin_family = AF_INET, .sin_port = 0, .sin_addr = {htonl(INADDR_LOOPBACK)}, .sin_zero = {}};
        socklen_t size = sizeof here;
        if (bind(listener.get(), reinterpret_cast<sockaddr*>(&here), size) != 0 ||
            listen(listener.get(), 1) != 0 ||
            getsockname(listener.get(), reinterpret_cast<sockaddr*>(&here), &size) != 0)
            GTEST_SKIP() << "no loopback device";
        UniqueFd slow(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
        if (::connect(slow.get(), reinterpret_cast<sockaddr*>(&here), size) != 0)
            GTEST_SKIP() << "no loopback device";
        // More than its other end takes.
        const linger patience{.l_onoff = 1, .l_linger = 600};
        setsockopt(slow.get(), SOL_SOCKET, SO_LINGER, &patience, sizeof patience);
        const std::vector<char> much(1 << 20);
        while (::send(slow.get(), much.data(), much.size(), MSG_DONTWAIT | MSG_NOSIGNAL) > 0) {
        }
        const RawClient client(server_.path());
        const RequestHeader header = header_of(BPF_MAP_GET_NEXT_ID, 0, 0);
        std::promise<void> go;
        server_.wait_for(go);
        client.send_fds(&header, sizeof header, {slow.get()});
        slow = UniqueFd(); // now the server's is the last one
        go.set_value();
        EXPECT_TRUE(client.closed());
        EXPECT_GE(UniqueFd(static_cast<int>(make_map())).get(), 0);
    }
}

/// Requests that are nearly right, without a socket between.
TEST(ServedCall, NearlyRightRequestsHarmNobody) {
    auto handles = Handles::make();
    ASSERT_TRUE(handles);
    auto create = zero_attr();
    create.map_type = BPF_MAP_TYPE_HASH;
    create.key_size = 4;
    create.value_size = 8;
    create.max_entries = 4;
    const int map = static_cast<int>(bpf_syscall(BPF_MAP_CREATE, &create, sizeof create));
    ASSERT_GE(map, 0);
    std::mt19937_64 random(20261201);
    constexpr u32 kCommands[] = {0,  1,  2,  3,  4,         5,          6,          7,      10, 11,
                                 12, 13, 14, 15, 18,        19,         21,         22,     23, 24,
                                 25, 26, 27, 35, kGetShape, kGetMemory, kGetFdinfo, kOnPath};
    u32 answered = 0;
    for (int round = 0; round < 20000; ++round) {
        RequestHeader header =
            header_of(kCommands[random() % std::size(kCommands)], static_cast<u32>(random() % 152), 0);
        std::vector<ReceivedFd> fds;
        if (random() % 4 != 0) fds.emplace_back(dup(map));
        header.slots = static_cast<u32>(random() % 4);
        std::vector<u8> body(header.slots * 4 + header.attributes + random() % 200);
        // Small numbers and zeros are what gets far.
        for (u8& byte : body) byte = random() % 4 == 0 ? static_cast<u8>(random() % 9) : u8{0};
        for (u32 i = 0; i < header.slots; ++i) {
            const i32 slot = static_cast<i32>(random() % 5) - 3;
            std::memcpy(&body[i * 4], &slot, sizeof slot);
        }
        header.size = static_cast<u32>(body.size());
        // Nothing that a test run of four thousand million rounds would be.
        const auto reply = serve_call(header, body, fds, **handles);
        answered += reply.has_value();
        if (!reply) {
            EXPECT_EQ(reply.error().code, EPROTO);
        }
    }
    EXPECT_GT(answered, 1000U);
    close_object_fd(map);
}

TEST(Paths, AreTakenByTheirLetters) {
    EXPECT_EQ(absolute_path("/sys/fs/bpf/../bpf//a/./b/"), "/sys/fs/bpf/a/b");
    EXPECT_EQ(absolute_path("/../.."), "/");
    EXPECT_TRUE(absolute_path("x").ends_with("/x"));
    EXPECT_TRUE(is_pin_path("/sys/fs/bpf"));
    EXPECT_TRUE(is_pin_path("/sys/fs/bpf/x"));
    EXPECT_FALSE(is_pin_path("/sys/fs/bpfx"));
}

/// Without anybody there: an error, one line, no wait.
TEST(Gone, IsAnInputOutputError) {
    setenv(kSocketVariable, "/nonexistent/socket", 1);
    EXPECT_EQ(make_map(), -EIO);
    setenv(kSocketVariable, std::string(200, 'x').c_str(), 1);
    EXPECT_EQ(make_map(), -EIO);
}

} // namespace
