// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// bpf(2) over a socket: what clients may do wrong.
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <future>
#include <memory>
#include <netinet/in.h>
#include <poll.h>
#include <random>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "bpf/remote/served_call.h"
#include "tests/support/eventually.h"
#include "tests/unit/remote_support.h"

namespace xdplane::test {
namespace {

using namespace remote;

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

} // namespace
} // namespace xdplane::test
