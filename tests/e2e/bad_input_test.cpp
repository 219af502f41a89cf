// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Bad input to the program as its users start it, a process for each row: it ends by itself with the right
// status, says one line, and leaves no output that looks whole.
//   test_bad_input PROGRAM CAPTURES FILTERS
#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <gtest/gtest.h>
#include <map>
#include <sched.h>
#include <sstream>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

namespace {

namespace fs = std::filesystem;
using Words = std::vector<std::string>;

std::string g_program;
fs::path g_captures;
fs::path g_filters;

std::string text_of(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path, std::ios::binary).rdbuf();
    return text.str();
}

void write_file(const fs::path& path, std::string_view text) {
    std::ofstream(path, std::ios::binary).write(text.data(), static_cast<std::streamsize>(text.size()));
}

struct Outcome {
    int status = -1; ///< -1: killed, by the clock too
    Words lines;     ///< of stderr
};

/// The tests run in a directory of their own, where relative names of rows lie.
class BadInput : public testing::Test {
protected:
    BadInput() {
        std::string name = testing::TempDir() + "/bad_input_XXXXXX";
        if (::mkdtemp(name.data()) == nullptr) std::abort();
        directory_ = name;
        fs::create_directory(directory_ / "run");
        fs::current_path(directory_ / "run");
    }
    ~BadInput() override {
        fs::current_path("/");
        fs::remove_all(directory_);
    }

    /// `prepare` runs in the child; false: it cannot be done here.
    Outcome run(const Words& words, const std::function<bool()>& prepare = {}) {
        constexpr unsigned kSeconds = 60;
        const pid_t child = ::fork();
        if (child == 0) {
            const int err = ::open((directory_ / "err").c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
            const int null = ::open("/dev/null", O_RDWR);
            ::dup2(null, 0);
            ::dup2(null, 1);
            ::dup2(err, 2);
            if (prepare && !prepare()) ::_exit(kCannotPrepare);
            std::vector<char*> argv{g_program.data()};
            for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
            argv.push_back(nullptr);
            ::alarm(kSeconds);
            ::execv(argv[0], argv.data());
            ::_exit(127);
        }
        int status = 0;
        if (::waitpid(child, &status, 0) != child) std::abort();
        Outcome outcome;
        if (WIFEXITED(status)) outcome.status = WEXITSTATUS(status);
        std::istringstream err(text_of(directory_ / "err"));
        for (std::string line; std::getline(err, line);) outcome.lines.push_back(line);
        return outcome;
    }

    /// Refused with one line that says this.
    void expect_refused(const Words& words, const std::string& text) {
        const Outcome outcome = run(words);
        EXPECT_EQ(outcome.status, 1);
        ASSERT_EQ(outcome.lines.size(), 1U) << testing::PrintToString(outcome.lines);
        EXPECT_TRUE(outcome.lines[0].starts_with("xdplane: ")) << outcome.lines[0];
        EXPECT_NE(outcome.lines[0].find(text), std::string::npos) << outcome.lines[0];
    }

    static constexpr int kCannotPrepare = 77;
    fs::path directory_;
};

struct Row {
    std::string name;
    Words words;
    std::string message;
};

/// Files that the rows speak of.
void make_files() {
    fs::create_directory("directory");
    write_file("empty", "");
    write_file("text", "neither fish nor fowl\n");
    write_file("garbage", std::string("\x80\xff\x00=[[\"\n\x01", 8) + std::string(3000, '\xfe'));
    write_file("unclosed.toml", "[[chain]]\nname = \"x\nstage = [");
    write_file("deep.toml", "x = " + std::string(100000, '['));
    write_file("deep.json", std::string(100000, '['));
    const std::string object = text_of(g_filters / "pass.bpf.o");
    const auto patched = [&object](std::size_t at, std::string_view bytes) {
        std::string copy = object;
        return copy.replace(at, bytes.size(), bytes);
    };
    write_file("big-endian.o", patched(5, "\x02"));
    write_file("arm.o", patched(18, std::string_view("\xb7\x00", 2)));
    write_file("no-sections.o", patched(60, std::string_view("\x00\x00", 2)));
    write_file("capture.o", text_of(g_captures / "ethernet.pcap"));
}

std::vector<Row> rows() {
    const std::string capture = g_captures / "ethernet.pcap";
    const auto verify = [](const std::string& object) { return Words{"verify", object}; };
    const auto replay = [&capture](Words more) {
        Words words{"replay", "-r", capture};
        words.insert(words.end(), more.begin(), more.end());
        return words;
    };
    const auto read = [](const std::string& input) { return Words{"replay", "-r", input, "--filter", "ip"}; };
    return {
        {"object_missing", verify("nowhere.o"), "nowhere.o: No such file or directory"},
        {"object_directory", verify("directory"), "directory: not a file"},
        {"object_device", verify("/dev/zero"), "/dev/zero: not a file"},
        {"object_empty", verify("empty"), "empty: not an ELF file: 0 bytes"},
        {"object_text", verify("text"), "text: not an ELF file"},
        {"object_garbage", verify("garbage"), "garbage: not an ELF file"},
        {"object_of_this_machine", verify(g_program), "not a BPF object: ELF machine"},
        {"object_of_another", verify("arm.o"), "arm.o: not a BPF object: ELF machine 183"},
        {"object_big_endian", verify("big-endian.o"), "big-endian.o: not a little-endian ELF file"},
        {"object_no_sections", verify("no-sections.o"), "no-sections.o: 0 sections"},
        {"object_capture", verify("capture.o"), "capture.o: not an ELF file"},
        {"object_in_a_chain", replay({"--prog", "text"}), "text: not an ELF file"},
        {"capture_missing", read("nowhere.pcap"), "nowhere.pcap: No such file or directory"},
        {"capture_directory", read("directory"), "directory: Is a directory"},
        {"capture_empty", read("empty"), "empty: is empty, not a capture file"},
        {"capture_text", read("text"), "text: not a pcap or pcapng file"},
        {"capture_garbage", read("garbage"), "garbage: not a pcap or pcapng file"},
        {"capture_endless", read("/dev/zero"), "/dev/zero: not a pcap or pcapng file"},
        {"capture_link_type",
         {"replay", "-r", g_captures / "raw-ip.pcap", "--prog", "pass.bpf.o"},
         "XDP programs judge Ethernet frames only"},
        {"capture_unknown_link_type", read(g_captures / "link-type-unknown.pcap"), "link-type-unknown.pcap"},
        {"config_missing", replay({"--config", "nowhere.toml"}), "nowhere.toml: No such file or directory"},
        {"config_directory", replay({"--config", "directory"}), "directory: Is a directory"},
        {"config_garbage", replay({"--config", "garbage"}), "garbage:1: "},
        {"config_text", replay({"--config", "text"}), "text:1: "},
        {"config_unclosed", replay({"--config", "unclosed.toml"}), "unclosed.toml:2: "},
        {"config_deep", replay({"--config", "deep.toml"}), "deep.toml:1: "},
        {"maps_directory", replay({"--prog", "acl.bpf.o", "--map", "acl_rules=directory"}), "directory: "},
        {"maps_garbage", replay({"--prog", "acl.bpf.o", "--map", "acl_rules=garbage"}), "garbage:"},
        {"maps_deep", replay({"--prog", "acl.bpf.o", "--map", "acl_rules=deep.json"}), "deep.json: "},
        {"output_directory", replay({"--filter", "ip", "-w", "directory"}), "directory: Is a directory"},
        {"output_nowhere", replay({"--filter", "ip", "-w", "no/where"}),
         "no/where: No such file or directory"},
        {"output_full", replay({"--filter", "ip", "-w", "/dev/full"}), "/dev/full: No space left on device"},
        {"test_run_directory", {"test-run", "pass.bpf.o:pass", "--data-in", "directory"}, "directory: "},
        {"test_run_nothing", {"test-run", "pass.bpf.o:pass", "--data-in", "empty"}, "empty: "},
    };
}

class BadInputRow : public BadInput {
public:
    explicit BadInputRow(Row row) : row_(std::move(row)) {}
    void TestBody() override {
        make_files();
        expect_refused(row_.words, row_.message);
    }

private:
    Row row_;
};

/// A damaged capture gives its whole packets and then the error. What is written can be read again.
class BadInputCapture : public BadInput {
public:
    BadInputCapture(std::string file, std::size_t packets, bool error)
        : file_(std::move(file)), packets_(packets), error_(error) {}
    void TestBody() override {
        const Outcome outcome =
            run({"replay", "-r", g_captures / file_, "--filter", "len >= 0", "-w", "out"});
        EXPECT_EQ(outcome.status, error_ ? 1 : 0);
        ASSERT_EQ(outcome.lines.size(), error_ ? 1U : 0U) << testing::PrintToString(outcome.lines);
        if (error_) {
            EXPECT_NE(outcome.lines[0].find(file_), std::string::npos) << outcome.lines[0];
        }
        EXPECT_TRUE(fs::exists("out") || (error_ && packets_ == 0));
        EXPECT_FALSE(fs::exists("out.part"));
        if (fs::exists("out")) {
            EXPECT_EQ(run({"replay", "-r", "out", "--filter", "len >= 0", "-w", "again"}).status, 0);
            EXPECT_EQ(text_of("again"), text_of("out"));
        }
    }

private:
    std::string file_;
    std::size_t packets_;
    bool error_;
};

/// A process for a filter: every line names its own cut.
class BadInputCuts : public BadInput {
public:
    explicit BadInputCuts(fs::path object) : object_(std::move(object)) {}
    void TestBody() override {
        const std::string whole = text_of(object_);
        ASSERT_GT(whole.size(), 1000U);
        Words words{"verify"};
        for (std::size_t size = 0; size < whole.size(); size += 64) {
            words.push_back(std::to_string(size) + ".o");
            write_file(words.back(), std::string_view(whole).substr(0, size));
        }
        const Outcome outcome = run(words);
        EXPECT_EQ(outcome.status, 1);
        ASSERT_EQ(outcome.lines.size(), words.size() - 1);
        for (std::size_t i = 0; i < outcome.lines.size(); ++i)
            EXPECT_TRUE(outcome.lines[i].starts_with("xdplane: " + words[i + 1] + ": ")) << outcome.lines[i];
    }

private:
    fs::path object_;
};

TEST_F(BadInput, FullFileSystem) {
    fs::create_directory("small");
    const auto mount_small = [] {
        return ::unshare(CLONE_NEWNS) == 0 && ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
               ::mount("tmpfs", "small", "tmpfs", 0, "size=64k") == 0;
    };
    // What is left there is gone with the namespace; the shell says what it was.
    const std::string capture = g_captures / "demo.pcap";
    const std::string script = "'" + g_program + "' replay -r '" + capture +
                               "' --filter 'len >= 0' -w small/out; s=$?; ls -A small >&2; exit $s";
    const std::string program = std::exchange(g_program, "/bin/sh");
    const Outcome outcome = run({"-c", script}, mount_small);
    g_program = program;
    if (outcome.status == kCannotPrepare) GTEST_SKIP() << "a tmpfs cannot be mounted here";
    EXPECT_EQ(outcome.status, 1);
    ASSERT_EQ(outcome.lines.size(), 1U) << testing::PrintToString(outcome.lines);
    EXPECT_NE(outcome.lines[0].find("small/out: No space left on device"), std::string::npos)
        << outcome.lines[0];
}

TEST_F(BadInput, UnreadableFiles) {
    const auto become_nobody = [] {
        constexpr uid_t kNobody = 65534;
        return ::geteuid() != 0 || (::setgid(kNobody) == 0 && ::setuid(kNobody) == 0);
    };
    fs::permissions(directory_, fs::perms::all);
    write_file("secret", "x");
    fs::permissions("secret", fs::perms::none);
    const std::string secret = fs::absolute("secret");
    if (const Outcome tried = run({"--version"}, become_nobody); tried.status != 0)
        GTEST_SKIP() << "the program cannot be started without privileges here";
    for (const Words& words :
         {Words{"verify", secret}, Words{"replay", "-r", secret, "--filter", "ip"},
          Words{"replay", "-r", g_captures / "ethernet.pcap", "--config", secret},
          Words{"replay", "-r", g_captures / "ethernet.pcap", "--filter", "ip", "-w", "/proc/xdplane"}}) {
        const Outcome outcome = run(words, become_nobody);
        EXPECT_EQ(outcome.status, 1) << words[1];
        ASSERT_EQ(outcome.lines.size(), 1U) << testing::PrintToString(outcome.lines);
        EXPECT_TRUE(outcome.lines[0].find("denied") != std::string::npos ||
                    outcome.lines[0].find("No such file") != std::string::npos)
            << outcome.lines[0];
    }
}

template<class Make>
void add(const char* suite, std::string name, Make make) {
    std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
    testing::RegisterTest(suite, name.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [make]() -> testing::Test* { return make(); });
}

} // namespace

int main(int argc, char** argv) {
    testing::InitGoogleTest(&argc, argv);
    if (argc != 4) return 2;
    g_program = std::filesystem::absolute(argv[1]).string(); // meson passes it relative to where it runs us
    g_captures = argv[2];
    g_filters = argv[3];
    for (const Row& row : rows()) add("BadInputRow", row.name, [row] { return new BadInputRow(row); });
    std::ifstream table(g_captures / "expected.tsv");
    for (std::string line; std::getline(table, line);) {
        std::istringstream fields(line);
        std::string file, links, end;
        std::size_t packets = 0;
        fields >> file >> links >> packets >> end;
        if (file.starts_with("malformed/"))
            add("BadInputCapture", file, [=] { return new BadInputCapture(file, packets, end == "error"); });
    }
    for (const auto& entry : fs::directory_iterator(g_filters))
        if (const fs::path path = entry.path(); path.string().ends_with(".bpf.o"))
            add("BadInputCuts", path.filename(), [path] { return new BadInputCuts(path); });
    return RUN_ALL_TESTS();
}
