// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// Stock object files through stock libbpf into xdplane's own bpf(2), on both engines.
#include "bpf/libbpf/object.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <cerrno>
#include <cstring>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bpf/run/run_context.h"
#include "bpf/syscall/bpf_system.h"

using namespace xdplane;

namespace {

std::string g_objects; ///< directory of the test's objects

std::string object_path(const char* name) { return g_objects + "/" + name + ".bpf.o"; }

struct TestRunResult {
    int error;
    u32 retval;
    std::vector<u8> data;
};

TestRunResult run(int fd, std::vector<u8> packet) {
    TestRunResult result{0, 0, std::vector<u8>(packet.size() + 64)};
    bpf_test_run_opts options{};
    options.sz = sizeof options;
    options.data_in = packet.data();
    options.data_size_in = static_cast<u32>(packet.size());
    options.data_out = result.data.data();
    options.data_size_out = static_cast<u32>(result.data.size());
    options.repeat = 1;
    result.error = bpf_prog_test_run_opts(fd, &options);
    result.retval = options.retval;
    result.data.resize(options.data_size_out);
    return result;
}

std::vector<u8> packet(std::size_t size, u8 first = 0) {
    std::vector<u8> bytes(size);
    for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<u8>(i);
    bytes[0] = first;
    return bytes;
}

class ObjectOn : public testing::TestWithParam<Engine> {
protected:
    void SetUp() override { set_engine(GetParam()); }

    static std::unique_ptr<Object> load(const char* name) {
        auto object = Object::open(object_path(name));
        if (!object) {
            ADD_FAILURE() << object.error().message;
            return nullptr;
        }
        if (auto r = (*object)->load(); !r) {
            ADD_FAILURE() << r.error().message << "\n" << (*object)->log();
            return nullptr;
        }
        return std::move(*object);
    }
};

TEST_P(ObjectOn, ListsProgramsAndMaps) {
    const auto object = Object::open(object_path("everything"));
    ASSERT_TRUE(object) << object.error().message;
    std::vector<std::string> programs;
    for (const auto& p : (*object)->programs()) {
        programs.push_back(p.name);
        EXPECT_EQ(p.section, "xdp");
        EXPECT_EQ(p.type, u32{BPF_PROG_TYPE_XDP});
        EXPECT_GT(p.insns, 0U);
    }
    EXPECT_EQ(programs,
              (std::vector<std::string>{"account", "swap_first", "push_two", "target_drop", "jump"}));
    std::vector<std::string> maps;
    for (const auto& m : (*object)->maps()) maps.push_back(m.name);
    EXPECT_EQ(maps, (std::vector<std::string>{"by_length", "per_cpu", "jumps", "counts", "everythi.rodata",
                                              "everythi.data", "everythi.bss"}));
    EXPECT_EQ((*object)->program("account"), nullptr) << "nothing is loaded yet";
}

TEST_P(ObjectOn, RunsProgramsAndCountsInMaps) {
    const auto object = load("everything");
    ASSERT_NE(object, nullptr);
    const int fd = object->program_fd("account");
    EXPECT_EQ(run(fd, packet(64)).retval, u32{XDP_PASS});
    EXPECT_EQ(run(fd, packet(64)).retval, u32{XDP_PASS});
    EXPECT_EQ(run(fd, packet(16)).retval, u32{XDP_DROP});

    struct Value {
        u64 packets;
        u64 bytes;
    } value{};
    u32 key = 64;
    ASSERT_EQ(bpf_map_lookup_elem(object->map_fd("by_length"), &key, &value), 0);
    EXPECT_EQ(value.packets, 2U);
    EXPECT_EQ(value.bytes, 128U);
    u64 count = 0;
    key = 1;
    ASSERT_EQ(bpf_map_lookup_elem(object->map_fd("counts"), &key, &count), 0);
    EXPECT_EQ(count, 9U);
    std::vector<u64> per_cpu(num_possible_cpus());
    key = 0;
    ASSERT_EQ(bpf_map_lookup_elem(object->map_fd("per_cpu"), &key, per_cpu.data()), 0);
    u64 sum = 0;
    for (const u64 n : per_cpu) sum += n;
    EXPECT_EQ(sum, 3U);
    u64 total = 0;
    ASSERT_EQ(bpf_map_lookup_elem(object->map_fd("everythi.bss"), &key, &total), 0);
    EXPECT_EQ(total, 144U);
}

TEST_P(ObjectOn, ProgramsChangePackets) {
    const auto object = load("everything");
    ASSERT_NE(object, nullptr);
    auto swapped = run(object->program_fd("swap_first"), packet(20, 7));
    EXPECT_EQ(swapped.retval, u32{XDP_TX});
    EXPECT_EQ(swapped.data[0], 1);
    EXPECT_EQ(swapped.data[1], 7);
    auto grown = run(object->program_fd("push_two"), packet(20, 7));
    EXPECT_EQ(grown.retval, u32{XDP_PASS});
    ASSERT_EQ(grown.data.size(), 22U);
    EXPECT_EQ(grown.data[0], 0xaa);
    EXPECT_EQ(grown.data[2], 7);
}

TEST_P(ObjectOn, ProgramArrayIsFilledByDeclaration) {
    const auto object = load("everything");
    ASSERT_NE(object, nullptr);
    const int fd = object->program_fd("jump");
    EXPECT_EQ(run(fd, packet(20, 1)).retval, u32{XDP_DROP});
    EXPECT_EQ(run(fd, packet(20, 2)).retval, u32{XDP_TX}) << "swap_first";
    EXPECT_EQ(run(fd, packet(20, 0)).retval, u32{XDP_TX}) << "empty slot: verdict_long";
    u32 key = 1;
    u32 id = 0;
    ASSERT_EQ(bpf_map_lookup_elem(object->map_fd("jumps"), &key, &id), 0);
    EXPECT_EQ(id, object->program("target_drop")->id);
    key = 0;
    EXPECT_EQ(bpf_map_lookup_elem(object->map_fd("jumps"), &key, &id), -ENOENT);
}

TEST_P(ObjectOn, GlobalDataIsSharedThroughMmap) {
    const auto object = load("everything");
    ASSERT_NE(object, nullptr);
    // As skeletons do it: over memory that is there already, at a fixed address.
    const auto size = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    void* place = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(place, MAP_FAILED);
    void* data =
        mmap(place, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, object->map_fd("everythi.data"), 0);
    ASSERT_EQ(data, place);
    u64 step = 0;
    std::memcpy(&step, data, sizeof step);
    EXPECT_EQ(step, 3U);
    step = 100;
    std::memcpy(data, &step, sizeof step);
    run(object->program_fd("account"), packet(64));
    u64 count = 0;
    u32 key = 1;
    ASSERT_EQ(bpf_map_lookup_elem(object->map_fd("counts"), &key, &count), 0);
    EXPECT_EQ(count, 100U);
    munmap(data, size);

    const int rodata = object->map_fd("everythi.rodata");
    EXPECT_EQ(mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, rodata, 0), MAP_FAILED);
    EXPECT_EQ(errno, EPERM) << "frozen";
    void* constants = mmap(nullptr, size, PROT_READ, MAP_SHARED, rodata, 0);
    ASSERT_NE(constants, MAP_FAILED);
    u32 min_length = 0;
    std::memcpy(&min_length, constants, sizeof min_length);
    EXPECT_EQ(min_length, 20U);
    munmap(constants, size);
    EXPECT_EQ(mmap(nullptr, size, PROT_READ, MAP_SHARED, object->map_fd("counts"), 0), MAP_FAILED);
    EXPECT_EQ(errno, 524) << "not mmapable";
}

TEST_P(ObjectOn, InitialValuesReachThePrograms) {
    auto object = Object::open(object_path("everything"));
    ASSERT_TRUE(object);
    const u32 constants[] = {1000, XDP_TX};
    ASSERT_TRUE((*object)->set_initial_value("everythi.rodata",
                                             {reinterpret_cast<const u8*>(constants), sizeof constants}));
    EXPECT_FALSE(
        (*object)->set_initial_value("everythi.rodata", {reinterpret_cast<const u8*>(constants), 3}));
    ASSERT_TRUE((*object)->load());
    EXPECT_EQ(run((*object)->program_fd("account"), packet(64)).retval, u32{XDP_DROP});
}

TEST_P(ObjectOn, SelectLoadsOnlyWhatIsNeeded) {
    auto object = Object::open(object_path("everything"));
    ASSERT_TRUE(object);
    const std::vector<std::string> names = {"jump"};
    ASSERT_TRUE((*object)->select(names));
    const auto loaded = (*object)->load();
    ASSERT_TRUE(loaded) << loaded.error().message;
    EXPECT_NE((*object)->program("jump"), nullptr);
    EXPECT_NE((*object)->program("target_drop"), nullptr) << "held by a program array";
    EXPECT_EQ((*object)->program("push_two"), nullptr);
    EXPECT_EQ(run((*object)->program_fd("jump"), packet(20, 1)).retval, u32{XDP_DROP});
    const std::vector<std::string> unknown = {"nobody"};
    EXPECT_EQ((*Object::open(object_path("everything")))->select(unknown).error().code, ENOENT);
}

TEST_P(ObjectOn, MapsAreShared) {
    const auto first = load("everything");
    ASSERT_NE(first, nullptr);
    auto second = Object::open(object_path("everything"));
    ASSERT_TRUE(second);
    EXPECT_EQ((*second)->reuse_map("counts", first->map("by_length")).error().code, EINVAL);
    ASSERT_TRUE((*second)->reuse_map("counts", first->map("counts")));
    ASSERT_TRUE((*second)->load());
    EXPECT_EQ((*second)->map("counts"), first->map("counts"));
    EXPECT_NE((*second)->map("by_length"), first->map("by_length"));
    run(first->program_fd("account"), packet(64));
    run((*second)->program_fd("account"), packet(64));
    u64 count = 0;
    u32 key = 1;
    ASSERT_EQ(bpf_map_lookup_elem(first->map_fd("counts"), &key, &count), 0);
    EXPECT_EQ(count, 6U);
}

TEST_P(ObjectOn, RejectionNamesFileProgramAndReason) {
    auto object = Object::open(object_path("rejected"));
    ASSERT_TRUE(object);
    const auto loaded = (*object)->load();
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, EACCES);
    EXPECT_NE(loaded.error().message.find("rejected.bpf.o: program reads_unchecked: "), std::string::npos)
        << loaded.error().message;
    EXPECT_NE((*object)->reason().find("outside of the packet"), std::string::npos) << (*object)->reason();
    EXPECT_EQ((*object)->rejected_program(), "reads_unchecked");
    EXPECT_FALSE((*object)->log().empty());

    auto half = Object::open(object_path("rejected"));
    ASSERT_TRUE(half);
    const std::vector<std::string> names = {"good"};
    ASSERT_TRUE((*half)->select(names));
    EXPECT_TRUE((*half)->load());
}

TEST_P(ObjectOn, LogOfAcceptedPrograms) {
    auto object = Object::open(object_path("rejected"));
    ASSERT_TRUE(object);
    const std::vector<std::string> names = {"good"};
    ASSERT_TRUE((*object)->select(names));
    (*object)->set_log_level(1);
    ASSERT_TRUE((*object)->load());
    EXPECT_NE((*object)->log().find("processed "), std::string::npos) << (*object)->log();
}

TEST_P(ObjectOn, NothingOutlivesItsHolders) {
    const auto count = [](int (*next)(u32, u32*)) {
        int n = 0;
        for (u32 id = 0; next(id, &id) == 0;) ++n;
        return n;
    };
    const int programs = count(bpf_prog_get_next_id);
    const int maps = count(bpf_map_get_next_id);
    const int btfs = count(bpf_btf_get_next_id);
    std::shared_ptr<const Program> kept;
    {
        const auto object = load("everything");
        ASSERT_NE(object, nullptr);
        EXPECT_EQ(count(bpf_prog_get_next_id), programs + 5);
        EXPECT_EQ(count(bpf_map_get_next_id), maps + 7);
        EXPECT_EQ(count(bpf_btf_get_next_id), btfs + 1);
        kept = object->program("account");
    }
    EXPECT_EQ(count(bpf_prog_get_next_id), programs + 1) << "the cycle of jump and jumps is broken";
    EXPECT_GT(count(bpf_map_get_next_id), maps);
    kept.reset();
    EXPECT_EQ(count(bpf_prog_get_next_id), programs);
    EXPECT_EQ(count(bpf_map_get_next_id), maps);
    EXPECT_EQ(count(bpf_btf_get_next_id), btfs);
}

TEST_P(ObjectOn, InfoTellsOfTheProgram) {
    const auto object = load("everything");
    ASSERT_NE(object, nullptr);
    bpf_prog_info info{};
    u32 size = sizeof info;
    u32 ids[16] = {};
    info.nr_map_ids = 16;
    info.map_ids = reinterpret_cast<__u64>(ids);
    ASSERT_EQ(bpf_obj_get_info_by_fd(object->program_fd("account"), &info, &size), 0);
    EXPECT_EQ(size, sizeof info);
    EXPECT_STREQ(info.name, "account");
    EXPECT_EQ(info.type, u32{BPF_PROG_TYPE_XDP});
    EXPECT_GE(info.nr_map_ids, 6U);
    EXPECT_GT(info.xlated_prog_len, 0U);
    EXPECT_EQ(info.jited_prog_len > 0, GetParam() == Engine::jit);
    EXPECT_GT(info.btf_id, 0U);
    EXPECT_GE(info.nr_func_info, 3U);
    EXPECT_EQ(info.gpl_compatible, 1U);
    bpf_map_info map{};
    size = sizeof map;
    ASSERT_EQ(bpf_obj_get_info_by_fd(object->map_fd("by_length"), &map, &size), 0);
    EXPECT_STREQ(map.name, "by_length");
    EXPECT_EQ(map.value_size, 16U);
    EXPECT_GT(map.btf_value_type_id, 0U);
    const int again = bpf_map_get_fd_by_id(map.id);
    ASSERT_GE(again, 0);
    EXPECT_EQ(map_from_fd(again), object->map("by_length"));
    close(again);
    EXPECT_EQ(map_from_fd(again), nullptr);
}

INSTANTIATE_TEST_SUITE_P(Engines, ObjectOn, testing::Values(Engine::jit, Engine::interpreter),
                         [](const auto& row) { return row.param == Engine::jit ? "Jit" : "Interpreter"; });

TEST(ObjectFile, MissingAndForeignFilesAreNamed) {
    const auto missing = Object::open("/nonexistent/x.bpf.o");
    ASSERT_FALSE(missing);
    EXPECT_EQ(missing.error().code, ENOENT);
    EXPECT_EQ(missing.error().message, "/nonexistent/x.bpf.o: No such file or directory");
    const auto foreign = Object::open("/proc/self/exe");
    ASSERT_FALSE(foreign);
    EXPECT_NE(foreign.error().message.find("not a BPF object"), std::string::npos) << foreign.error().message;
    EXPECT_FALSE(Object::open("/proc/self"));
}

} // namespace

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc < 2) return 2;
    g_objects = argv[1];
    return RUN_ALL_TESTS();
}
