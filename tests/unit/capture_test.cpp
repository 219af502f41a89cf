// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Capture files in and out: the committed captures against what their table says and against libpcap, and
// outputs that are whole or not there.
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <pcap/pcap.h>
#include <sstream>
#include <sys/stat.h>
#include <thread>
#include <unistd.h>

#include "pcap_replay/capture_reader.h"
#include "pcap_replay/capture_writer.h"
#include "pcap_replay/crc32c.h"
#include "tests/support/long_capture.h"
#include "tests/support/places.h"

namespace xdplane {
namespace {

namespace fs = std::filesystem;

const fs::path kCaptures = source_path("tests/captures");

struct Stored {
    std::vector<u8> bytes;
    u32 wire_len;
    u64 timestamp_ns;
    u32 link_type;
    friend bool operator==(const Stored&, const Stored&) = default;
};

constexpr MapPolicy kAlwaysMapped{1, ~u64{0}};

struct Contents {
    std::vector<Stored> packets;
    std::string error; ///< empty: none
};

Contents read_all(const std::string& path) {
    Contents contents;
    auto reader = CaptureReader::open(path);
    if (!reader) {
        contents.error = reader.error().message;
        return contents;
    }
    CapturedPacket packet;
    while ((*reader)->next(packet))
        contents.packets.push_back({{packet.data, packet.data + packet.captured},
                                    packet.wire_len,
                                    packet.timestamp_ns,
                                    packet.link_type});
    if ((*reader)->error()) contents.error = (*reader)->error()->message;
    return contents;
}

struct Row {
    std::string file;
    std::string links;
    u64 packets;
    bool error;
};

std::vector<Row> table() {
    std::vector<Row> rows;
    std::ifstream in(kCaptures / "expected.tsv");
    for (std::string line; std::getline(in, line);) {
        if (line.empty() || line[0] == '#') continue;
        std::istringstream fields(line);
        Row row;
        std::string end;
        fields >> row.file >> row.links >> row.packets >> end;
        row.error = end == "error";
        rows.push_back(row);
    }
    return rows;
}

/// GoogleTest prints the parameter of a case that fails.
void PrintTo(const Row& row, std::ostream* out) { *out << row.file; }

class CaptureFile : public testing::TestWithParam<Row> {};

TEST_P(CaptureFile, IsReadAsItsTableSays) {
    const Row& row = GetParam();
    const Contents contents = read_all(kCaptures / row.file);
    EXPECT_EQ(contents.packets.size(), row.packets);
    EXPECT_EQ(!contents.error.empty(), row.error) << contents.error;
    EXPECT_EQ(contents.error.find('\n'), std::string::npos);
    std::vector<std::string> links;
    for (const Stored& packet : contents.packets) {
        const std::string link = std::to_string(packet.link_type);
        if (links.empty() || std::find(links.begin(), links.end(), link) == links.end())
            links.push_back(link);
    }
    if (!contents.packets.empty()) {
        std::string joined;
        for (const std::string& link : links) joined += (joined.empty() ? "" : ",") + link;
        EXPECT_EQ(joined, row.links);
    }
    // An error behind whole packets names the packet that is damaged.
    if (row.packets != 0 && row.error) {
        EXPECT_TRUE(contents.error.starts_with(fmt::format("packet {}: ", row.packets))) << contents.error;
    }
}

TEST_P(CaptureFile, IsReadAlikeFromAPipe) {
    const fs::path path = kCaptures / GetParam().file;
    const Contents expected = read_all(path);
    ::signal(SIGPIPE, SIG_IGN); // the reader leaves at the first damage
    const std::string fifo = testing::TempDir() + fmt::format("capture_{}.fifo", ::getpid());
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    std::thread feeder([&] {
        std::ifstream in(path, std::ios::binary);
        std::ofstream out(fifo, std::ios::binary);
        std::vector<char> piece(977);
        while (in.read(piece.data(), static_cast<std::streamsize>(piece.size())) || in.gcount() != 0) {
            out.write(piece.data(), in.gcount());
            out.flush();
        }
    });
    const Contents contents = read_all(fifo);
    feeder.join();
    ::unlink(fifo.c_str());
    EXPECT_EQ(contents.error, expected.error);
    ASSERT_EQ(contents.packets.size(), expected.packets.size());
    for (std::size_t i = 0; i < expected.packets.size(); ++i)
        EXPECT_EQ(contents.packets[i].bytes, expected.packets[i].bytes) << "packet " << i;
}

/// What a capture is in bursts of up to `most`; bytes are taken when the burst is complete.
Contents read_in_bursts(const std::string& path, u32 most, bool keep, const MapPolicy& policy = {}) {
    Contents contents;
    auto reader = CaptureReader::open(path, policy);
    if (!reader) {
        contents.error = reader.error().message;
        return contents;
    }
    if (keep) (*reader)->keep(64 << 20);
    std::vector<u8> window;
    std::vector<CapturedPacket> burst;
    while (true) {
        burst.resize(most);
        const u32 count = (*reader)->next_burst(burst.data(), most);
        EXPECT_LE(count, most);
        if (count == 0) break;
        burst.resize(std::min(count, most));
        (*reader)->exchange(window);
        for (const CapturedPacket& packet : burst) {
            if (packet.record != nullptr) {
                EXPECT_EQ(packet.record + CapturedPacket::kRecordHeader, packet.data);
            }
            contents.packets.push_back({{packet.data, packet.data + packet.captured},
                                        packet.wire_len,
                                        packet.timestamp_ns,
                                        packet.link_type});
        }
        EXPECT_EQ((*reader)->packets(), contents.packets.size());
    }
    if ((*reader)->error()) contents.error = (*reader)->error()->message;
    return contents;
}

void expect_same_in_bursts(const std::string& path) {
    const Contents expected = read_all(path);
    for (const u32 most : {1U, 5U, 64U, 4096U})
        for (const bool keep : {false, true})
            for (const MapPolicy& policy : {MapPolicy(), kAlwaysMapped}) {
                const Contents contents = read_in_bursts(path, most, keep, policy);
                EXPECT_EQ(contents.error, expected.error);
                EXPECT_TRUE(contents.packets == expected.packets) << most << keep << policy.from;
            }
}

TEST_P(CaptureFile, IsTheSameInBursts) { expect_same_in_bursts(kCaptures / GetParam().file); }

TEST_P(CaptureFile, GivesWhatLibpcapGives) {
    const fs::path path = kCaptures / GetParam().file;
    char text[PCAP_ERRBUF_SIZE];
    pcap_t* pcap = pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, text);
    const Contents contents = read_all(path);
    if (pcap == nullptr) {
        // What libpcap refuses must be something that is known to be wrong, or what this reader does more.
        EXPECT_TRUE(GetParam().error || GetParam().packets == 0 ||
                    GetParam().links.find(',') != std::string::npos)
            << text;
        return;
    }
    pcap_pkthdr* header = nullptr;
    const u8* bytes = nullptr;
    std::size_t i = 0;
    while (pcap_next_ex(pcap, &header, &bytes) == 1) {
        ASSERT_LT(i, contents.packets.size());
        const Stored& packet = contents.packets[i];
        EXPECT_EQ(packet.bytes, std::vector<u8>(bytes, bytes + header->caplen)) << "packet " << i;
        EXPECT_EQ(packet.wire_len, header->len) << "packet " << i;
        // libpcap multiplies impossible microseconds in 32 bits; here they carry into the seconds.
        if (GetParam().file != "malformed/bad-microseconds.pcap") {
            EXPECT_EQ(packet.timestamp_ns, u64{static_cast<u32>(header->ts.tv_sec)} * 1'000'000'000 +
                                               static_cast<u64>(header->ts.tv_usec))
                << "packet " << i;
        }
        ++i;
    }
    if (contents.packets.size() != i) {
        // This reader may go on where libpcap gives up (interfaces of several kinds), never the reverse.
        EXPECT_GT(contents.packets.size(), i);
        EXPECT_TRUE(GetParam().links.find(',') != std::string::npos ||
                    GetParam().file == "mixed-order.pcapng")
            << pcap_geterr(pcap);
    }
    pcap_close(pcap);
}

INSTANTIATE_TEST_SUITE_P(Captures, CaptureFile, testing::ValuesIn(table()), [](const auto& param) {
    std::string name = param.param.file;
    for (char& c : name)
        if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
    return name;
});

TEST(CaptureReader, TableIsThere) { EXPECT_GT(table().size(), 50U); }

TEST(CaptureReader, RefusesDirectoriesAndMissingFiles) {
    EXPECT_EQ(CaptureReader::open("/").error().code, EISDIR);
    EXPECT_EQ(CaptureReader::open("/does/not/exist").error().code, ENOENT);
    EXPECT_EQ(CaptureReader::open("/dev/null").error().message, "is empty, not a capture file");
}

TEST(CaptureReader, RewindsToTheSamePackets) {
    auto reader = CaptureReader::open(kCaptures / "several.pcapng");
    ASSERT_TRUE(reader);
    CapturedPacket packet;
    for (int round = 0; round < 3; ++round) {
        u64 count = 0;
        u64 stamps = 0;
        while ((*reader)->next(packet)) ++count, stamps += packet.timestamp_ns;
        EXPECT_EQ(count, 12U);
        EXPECT_NE(stamps, 0U);
        ASSERT_TRUE((*reader)->rewind());
    }
}

TEST(CaptureReader, LongCapturesAreTheSameInBurstsAndAgain) {
    const std::string path = testing::TempDir() + fmt::format("long_{}", ::getpid());
    for (const int kind : {0, 1, 2}) {
        kind == 2 ? write_long_pcapng(path, 1500) : write_long_pcap(path, 1500, kind == 1);
        expect_same_in_bursts(path);
        const Contents expected = read_all(path);
        EXPECT_EQ(expected.packets.size(), 1500U);
        auto reader = CaptureReader::open(path);
        for (int round = 0; round < 3; ++round) {
            CapturedPacket packet;
            for (const Stored& stored : expected.packets) {
                ASSERT_TRUE((*reader)->next(packet));
                ASSERT_TRUE(std::equal(stored.bytes.begin(), stored.bytes.end(), packet.data,
                                       packet.data + packet.captured));
                ASSERT_EQ(packet.timestamp_ns, stored.timestamp_ns);
            }
            ASSERT_FALSE((*reader)->next(packet));
            EXPECT_EQ((*reader)->offset(), fs::file_size(path));
            ASSERT_TRUE((*reader)->rewind());
            // The second and third round come from memory.
            if (round == 0) (*reader)->keep(64 << 20);
        }
    }
    ::unlink(path.c_str());
}

TEST(CaptureReader, AFileThatGrowsIsReadToWhereItEnded) {
    const std::string path = testing::TempDir() + fmt::format("grows_{}", ::getpid());
    fs::copy_file(kCaptures / "ethernet.pcap", path, fs::copy_options::overwrite_existing);
    auto reader = CaptureReader::open(path);
    std::ofstream(path, std::ios::binary | std::ios::app) << std::string(1000, 'x');
    CapturedPacket packet;
    while ((*reader)->next(packet)) {
    }
    EXPECT_EQ((*reader)->packets(), 12U);
    EXPECT_FALSE((*reader)->error());
    ::unlink(path.c_str());
}

TEST(CaptureReader, AnyCutIsAnErrorBehindWholePackets) {
    for (const char* name : {"ethernet.pcap", "several.pcapng"}) {
        std::ifstream in(kCaptures / name, std::ios::binary);
        const std::string whole((std::istreambuf_iterator<char>(in)), {});
        const Contents expected = read_all(kCaptures / name);
        const std::string path = testing::TempDir() + fmt::format("cut_{}", ::getpid());
        for (std::size_t size = 0; size < whole.size(); size += 3) {
            std::ofstream(path, std::ios::binary).write(whole.data(), static_cast<std::streamsize>(size));
            const Contents cut = read_all(path);
            ASSERT_LE(cut.packets.size(), expected.packets.size());
            for (std::size_t i = 0; i < cut.packets.size(); ++i)
                ASSERT_EQ(cut.packets[i].bytes, expected.packets[i].bytes);
        }
        ::unlink(path.c_str());
    }
}

class OutputPlace : public testing::Test {
protected:
    OutputPlace() { fs::create_directories(directory_); }
    ~OutputPlace() override { fs::remove_all(directory_); }
    [[nodiscard]] std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto& entry : fs::directory_iterator(directory_)) names.push_back(entry.path().filename());
        return names;
    }
    fs::path directory_ = fs::path(testing::TempDir()) / fmt::format("output_{}", ::getpid());
};

TEST_F(OutputPlace, WrittenCapturesReadBackAndLibpcapAgrees) {
    for (const bool nanoseconds : {false, true}) {
        const std::string path = directory_ / "out.pcap";
        const Contents original = read_all(kCaptures / (nanoseconds ? "nanosecond.pcap" : "snaplen-60.pcap"));
        auto writer = CaptureWriter::open(path, {.link_type = 1, .nanoseconds = nanoseconds});
        ASSERT_TRUE(writer);
        for (const Stored& packet : original.packets)
            writer->write(packet.bytes.data(), static_cast<u32>(packet.bytes.size()), packet.wire_len,
                          packet.timestamp_ns);
        ASSERT_TRUE(writer->finish());
        const Contents copy = read_all(path);
        EXPECT_EQ(copy.error, "");
        ASSERT_EQ(copy.packets.size(), original.packets.size());
        for (std::size_t i = 0; i < copy.packets.size(); ++i) {
            EXPECT_EQ(copy.packets[i].bytes, original.packets[i].bytes);
            EXPECT_EQ(copy.packets[i].wire_len, original.packets[i].wire_len);
            EXPECT_EQ(copy.packets[i].timestamp_ns, original.packets[i].timestamp_ns);
        }
        char text[PCAP_ERRBUF_SIZE];
        pcap_t* pcap = pcap_open_offline(path.c_str(), text);
        ASSERT_NE(pcap, nullptr) << text;
        EXPECT_EQ(pcap_datalink(pcap), DLT_EN10MB);
        pcap_close(pcap);
    }
}

TEST_F(OutputPlace, AppearsOnlyWhenFinished) {
    const std::string path = directory_ / "out";
    {
        auto file = OutputFile::open(path);
        ASSERT_TRUE(file);
        file->put(std::string(1'000'000, 'x'));
        EXPECT_FALSE(fs::exists(path));
        EXPECT_EQ(files().size(), 1U);
    }
    EXPECT_TRUE(files().empty()) << "a given up output leaves " << files().front();

    std::ofstream(path) << "old";
    auto file = OutputFile::open(path);
    ASSERT_TRUE(file);
    file->put("new");
    EXPECT_EQ(fs::file_size(path), 3U);
    ASSERT_TRUE(file->finish());
    std::string content;
    std::ifstream(path) >> content;
    EXPECT_EQ(content, "new");
    EXPECT_EQ(files().size(), 1U);
}

TEST_F(OutputPlace, FollowsLinksInsteadOfReplacingThem) {
    std::ofstream(directory_ / "target") << "old";
    fs::create_symlink("target", directory_ / "link");
    auto file = OutputFile::open(directory_ / "link");
    ASSERT_TRUE(file);
    file->put("new");
    ASSERT_TRUE(file->finish());
    EXPECT_TRUE(fs::is_symlink(directory_ / "link"));
    std::string content;
    std::ifstream(directory_ / "target") >> content;
    EXPECT_EQ(content, "new");
}

TEST_F(OutputPlace, FullDiskIsAnError) {
    auto file = OutputFile::open("/dev/full");
    ASSERT_TRUE(file);
    file->put("x");
    const auto done = file->finish();
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ENOSPC);
    EXPECT_TRUE(fs::is_character_file("/dev/full"));
}

TEST_F(OutputPlace, MissingDirectoryIsAnError) {
    EXPECT_EQ(OutputFile::open(directory_ / "no" / "where").error().code, ENOENT);
}

TEST(Crc32c, KnownAnswers) {
    const auto of = [](std::string_view text) {
        return crc32c(reinterpret_cast<const u8*>(text.data()), text.size());
    };
    EXPECT_EQ(of("123456789"), 0xe3069283U);
    EXPECT_EQ(of(""), 0U);
    EXPECT_EQ(of(std::string(32, '\0')), 0x8a9136aaU); // RFC 3720, appendix B.4
    EXPECT_EQ(of(std::string(32, '\xff')), 0x62a8ab43U);
}

} // namespace
} // namespace xdplane
