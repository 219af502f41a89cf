// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// The program as its users meet it: the cases of a file (exit status, words, files), and what needs more than
// a line: JSON, maps there and back, equal results from any number of workers, cut objects.
//   test_cli PROGRAM CAPTURES FILTERS CASES PROGRAMS
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

std::string g_program;
std::string g_captures;
std::string g_filters;
std::string g_programs;

std::string text_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

struct Outcome {
    int status = -1;
    std::string out;
    std::string err;
};

/// A directory to run in, empty at the start and gone at the end.
class Place {
public:
    Place() {
        std::string name = testing::TempDir() + "/cli_XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        directory_ = name;
        fs::create_directory(directory_ / "run");
        fs::create_directory(directory_ / "bin");
        // Cases call it xdplane; pidof in a case must find no other one.
        std::ofstream(directory_ / "bin" / "xdplane")
            << "#!/bin/sh\nexec \"" << (directory_ / "bin" / "xdplane-under-test").string() << "\" \"$@\"\n";
        fs::permissions(directory_ / "bin" / "xdplane", fs::perms::all);
        fs::create_symlink(g_program, directory_ / "bin" / "xdplane-under-test");
    }
    ~Place() { fs::remove_all(directory_); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    [[nodiscard]] fs::path directory() const { return directory_ / "run"; }
    [[nodiscard]] Outcome run(const std::string& script) const {
        std::ofstream(directory_ / "script") << script << "\n";
        const std::string command = fmt::format("cd '{0}/run' && PATH='{0}/bin':$PATH:/usr/sbin:/sbin "
                                                "C='{1}' F='{2}' P='{3}' LC_ALL=C timeout 60 /bin/sh "
                                                "'{0}/script' >'{0}/out' 2>'{0}/err' </dev/null",
                                                directory_.string(), g_captures, g_filters, g_programs);
        const int status = std::system(command.c_str());
        return {WIFEXITED(status) ? WEXITSTATUS(status) : -1, text_of(directory_ / "out"),
                text_of(directory_ / "err")};
    }

private:
    fs::path directory_;
};

struct Case {
    std::string name;
    std::string script;
    int status = 0;
    std::vector<std::string> out;
    std::vector<std::string> err;
    std::vector<std::string> none;
};

std::vector<Case> read_cases(const std::string& path) {
    std::vector<Case> cases;
    std::ifstream in(path);
    for (std::string line; std::getline(in, line);) {
        if (line.empty() || line[0] == '#') continue;
        const std::size_t space = line.find(' ');
        const std::string key = line.substr(0, space);
        const std::string rest = space == std::string::npos ? "" : line.substr(space + 1);
        if (key == "case") {
            cases.push_back({.name = rest});
            continue;
        }
        if (cases.empty()) std::abort();
        Case& c = cases.back();
        if (key == "run")
            c.script += rest + "\n";
        else if (key == "exit")
            c.status = std::stoi(rest);
        else if (key == "out")
            c.out.push_back(rest);
        else if (key == "err")
            c.err.push_back(rest);
        else if (key == "none")
            c.none.push_back(rest);
        else
            std::abort();
    }
    return cases;
}

/// Runs of blanks as one: how wide a table's columns are is not what a case is about.
std::string squeezed(std::string text) {
    text.erase(std::unique(text.begin(), text.end(), [](char a, char b) { return a == ' ' && b == ' '; }),
               text.end());
    return text;
}

class CliCase : public testing::Test {
public:
    explicit CliCase(Case c) : case_(std::move(c)) {}
    void TestBody() override {
        const Place place;
        const Outcome outcome = place.run(case_.script);
        SCOPED_TRACE(fmt::format("{}stdout:\n{}\nstderr:\n{}", case_.script, outcome.out, outcome.err));
        EXPECT_EQ(outcome.status, case_.status);
        for (const std::string& text : case_.out)
            EXPECT_NE(squeezed(outcome.out).find(squeezed(text)), std::string::npos) << text;
        for (const std::string& text : case_.err)
            EXPECT_NE(outcome.err.find(text), std::string::npos) << text;
        for (const std::string& name : case_.none) EXPECT_FALSE(fs::exists(place.directory() / name)) << name;
        if (case_.status == 0) {
            EXPECT_EQ(outcome.err, "");
        }
        if (!case_.err.empty()) {
            EXPECT_TRUE(outcome.err.starts_with("xdplane: "));
            EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << "one line";
        }
        for (const auto& entry : fs::directory_iterator(place.directory()))
            EXPECT_NE(entry.path().extension(), ".part") << entry.path();
    }

private:
    Case case_;
};

const std::string kChain = "xdplane replay -r $C/demo.pcap --prog sanity.bpf.o --prog flowcount.bpf.o --prog "
                           "vlan.bpf.o:vlan_pop ";

TEST(Cli, JsonHasTheShapeThatWasPromised) {
    const Place place;
    const Outcome outcome = place.run(kChain + "--json");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const Json json = Json::parse(outcome.out);
    EXPECT_EQ(json.size(), 6U);
    EXPECT_EQ(json["packets"], 4030);
    EXPECT_EQ(json["bytes"], 879293);
    EXPECT_GT(json["seconds"].get<double>(), 0);
    EXPECT_GT(json["mpps"].get<double>(), 0);
    std::uint64_t sum = 0;
    for (const char* verdict : {"pass", "drop", "tx", "redirect", "aborted"})
        sum += json["verdicts"][verdict].get<std::uint64_t>();
    EXPECT_EQ(sum, 4030U);
    ASSERT_EQ(json["stages"].size(), 3U);
    EXPECT_EQ(json["stages"][0]["name"], "sanity");
    EXPECT_EQ(json["stages"][0]["packets"], 4030);
    EXPECT_EQ(json["stages"][1]["packets"], json["stages"][0]["verdicts"]["pass"]);
    EXPECT_EQ(json["stages"][2]["packets"], json["stages"][1]["verdicts"]["pass"]);
}

TEST(Cli, VerifyJson) {
    const Place place;
    const Outcome outcome = place.run("xdplane verify --json $F/chain.bpf.o $F/pass.bpf.o");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const Json json = Json::parse(outcome.out);
    ASSERT_EQ(json["programs"].size(), 4U);
    for (const Json& program : json["programs"]) {
        EXPECT_EQ(program["verdict"], "accepted");
        EXPECT_EQ(program["type"], "xdp");
        EXPECT_GT(program["insns"].get<int>(), 0);
        EXPECT_GT(program["processed"].get<int>(), 0);
        EXPECT_EQ(program["reason"], "");
        EXPECT_TRUE(program.contains("object") && program.contains("program") && program.contains("section"));
    }
}

/// Everything that a replay leaves, by file.
std::map<std::string, std::string> results(const std::string& options) {
    const Place place;
    const Outcome outcome = place.run(
        kChain + "-w pass --write-dropped drop --per-packet lines --dump-maps maps --json " + options);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    std::map<std::string, std::string> files;
    for (const auto& entry : fs::directory_iterator(place.directory()))
        files[entry.path().filename()] = text_of(entry.path());
    return files;
}

TEST(Cli, EveryRunGivesTheSame) {
    const auto once = results("");
    EXPECT_EQ(once.size(), 4U);
    EXPECT_EQ(results(""), once);
    EXPECT_EQ(results("--engine interpreter"), once);
    if (::sysconf(_SC_NPROCESSORS_CONF) < 2) GTEST_SKIP() << "two workers need two processors";
    auto two_workers = results("--workers 2");
    EXPECT_EQ(two_workers.at("pass"), once.at("pass"));
    EXPECT_EQ(two_workers.at("drop"), once.at("drop"));
    EXPECT_EQ(two_workers.at("lines"), once.at("lines"));
    // Per-CPU values lie with another CPU; keys and sums are the same.
    const auto keys = [](const std::string& text) {
        std::vector<std::string> all;
        const Json dump = Json::parse(text);
        for (const Json& map : dump["maps"])
            for (const Json& entry : map["entries"]) all.push_back(entry["key"]);
        return all;
    };
    EXPECT_EQ(keys(two_workers.at("maps")), keys(once.at("maps")));
}

TEST(Cli, PerPacketLines) {
    const Place place;
    const Outcome outcome =
        place.run("xdplane replay -r $C/ethernet.pcap --prog pass.bpf.o --per-packet lines");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    std::istringstream lines(text_of(place.directory() / "lines"));
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
        unsigned index = 0;
        unsigned value = 0;
        unsigned length = 0;
        char crc[16] = "";
        ASSERT_EQ(std::sscanf(line.c_str(), "%u\t%u\t%u\t%8[0-9a-f]", &index, &value, &length, crc), 4)
            << line;
        EXPECT_EQ(static_cast<int>(index), count);
        EXPECT_EQ(value, 2U);
        EXPECT_EQ(std::strlen(crc), 8U);
    }
    EXPECT_EQ(count, 12);
}

TEST(Cli, MapsComeBackAsTheyWereDumped) {
    const Place place;
    const std::string replay = "xdplane replay --prog flowcount.bpf.o --json ";
    Outcome outcome = place.run(replay + "-r $C/demo.pcap --dump-maps first.json && " + replay +
                                "-r $C/zero-packets.pcap --map flows=first.json --map flow_stats=first.json "
                                "--dump-maps second.json");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(text_of(place.directory() / "first.json"), text_of(place.directory() / "second.json"));
    // Fields say the same as hex: with the hex taken away the map is the same again.
    Json dump = Json::parse(text_of(place.directory() / "first.json"));
    for (Json& map : dump["maps"])
        for (Json& entry : map["entries"]) {
            if (entry.contains("key_fields")) entry.erase("key");
            if (entry.contains("value_fields")) entry.erase("value");
        }
    std::ofstream(place.directory() / "fields.json") << dump;
    outcome =
        place.run(replay + "-r $C/zero-packets.pcap --map flows=fields.json --map flow_stats=fields.json "
                           "--dump-maps third.json");
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    EXPECT_EQ(text_of(place.directory() / "first.json"), text_of(place.directory() / "third.json"));
    EXPECT_GT(dump["maps"].size(), 1U);
}

TEST(Cli, CutObjectsAreRefused) {
    const std::string whole = text_of(g_filters + "/redirect.bpf.o");
    ASSERT_GT(whole.size(), 1000U);
    const Place place;
    for (std::size_t size = 0; size < whole.size(); size += 64) {
        std::ofstream(place.directory() / "cut.o", std::ios::binary)
            .write(whole.data(), static_cast<std::streamsize>(size));
        const Outcome outcome = place.run("xdplane verify cut.o");
        EXPECT_EQ(outcome.status, 1) << size << ": " << outcome.err;
        EXPECT_TRUE(outcome.err.starts_with("xdplane: cut.o: ") ||
                    outcome.out.find("rejected") != std::string::npos)
            << size << ": " << outcome.err;
    }
}

} // namespace

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 6) {
        fmt::print(stderr, "usage: {} PROGRAM CAPTURES FILTERS CASES PROGRAMS\n", argv[0]);
        return 2;
    }
    g_program = fs::absolute(argv[1]).string(); // meson passes it relative to where it runs us
    g_captures = argv[2];
    g_filters = argv[3];
    g_programs = argv[5];
    const auto cases = read_cases(argv[4]);
    if (cases.size() < 50) return 2;
    for (const Case& c : cases) {
        std::string name = c.name;
        for (char& letter : name)
            if (std::isalnum(static_cast<unsigned char>(letter)) == 0) letter = '_';
        testing::RegisterTest("CliCase", name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                              [c]() -> CliCase* { return new CliCase(c); });
    }
    return RUN_ALL_TESTS();
}
