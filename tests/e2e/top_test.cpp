// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
// `xdplane top` against `xdplane run`, on a terminal and without one.
#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <fmt/format.h>

#include "tests/e2e/packet_file.h"
#include "tests/e2e/process.h"
#include "tests/support/places.h"

namespace xdplane {
namespace {

using namespace std::chrono_literals;
using Strings = std::vector<std::string>;

const std::string kProgram = build_path("xdplane");
const std::string kFilters = build_path("filters");

/// A process on a terminal of its own.
class OnTerminal {
public:
    explicit OnTerminal(const Strings& words, const char* no_colour = "")
        : terminal_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
        EXPECT_EQ(::grantpt(terminal_.get()), 0);
        EXPECT_EQ(::unlockpt(terminal_.get()), 0);
        std::array<char, 64> name{};
        EXPECT_EQ(::ptsname_r(terminal_.get(), name.data(), name.size()), 0);
        other_end_ = UniqueFd(::open(name.data(), O_RDWR | O_NOCTTY | O_CLOEXEC));
        resize(40, 120);
        EXPECT_EQ(::tcgetattr(other_end_.get(), &before_), 0);
        std::vector<char*> argv;
        for (const std::string& word : words) argv.push_back(const_cast<char*>(word.c_str()));
        argv.push_back(nullptr);
        pid_ = ::fork();
        if (pid_ == 0) {
            ::setsid();
            for (const int fd : {0, 1, 2}) ::dup2(other_end_.get(), fd);
            ::ioctl(0, TIOCSCTTY, 0);
            ::setenv("TERM", "xterm", 1);
            ::setenv("NO_COLOR", no_colour, 1);
            ::execv(argv[0], argv.data());
            ::_exit(127);
        }
    }
    ~OnTerminal() {
        if (pid_ <= 0) return;
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    OnTerminal(const OnTerminal&) = delete;
    OnTerminal& operator=(const OnTerminal&) = delete;

    void resize(u16 rows, u16 columns) const {
        const winsize size{.ws_row = rows, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
        EXPECT_EQ(::ioctl(terminal_.get(), TIOCSWINSZ, &size), 0);
    }
    void type(char key) const { EXPECT_EQ(::write(terminal_.get(), &key, 1), 1); }
    void signal(int number) const { ::kill(pid_, number); }
    /// True once `text` has come, behind what an earlier call found.
    bool shows(const std::string& text) {
        for (const auto end = std::chrono::steady_clock::now() + 60s;
             std::chrono::steady_clock::now() < end;) {
            if (const std::size_t at = shown_.find(text, seen_); at != std::string::npos) {
                seen_ = at + text.size();
                return true;
            }
            take();
        }
        return false;
    }
    /// Its exit status, with all of its output taken.
    int wait() {
        int status = -1;
        for (const auto end = std::chrono::steady_clock::now() + 60s;
             std::chrono::steady_clock::now() < end && pid_ > 0;) {
            take();
            if (::waitpid(pid_, &status, WNOHANG) == pid_) pid_ = -1;
        }
        take();
        return pid_ < 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
    }
    [[nodiscard]] const std::string& shown() const { return shown_; }
    [[nodiscard]] bool as_before() const {
        termios now{};
        return ::tcgetattr(other_end_.get(), &now) == 0 && now.c_lflag == before_.c_lflag &&
               now.c_cc[VSUSP] == before_.c_cc[VSUSP] && shown_.contains("\x1b[?25h\x1b[?1049l");
    }

private:
    void take() {
        pollfd source{.fd = terminal_.get(), .events = POLLIN, .revents = 0};
        std::array<char, 4096> some{};
        while (::poll(&source, 1, 20) > 0) {
            const ssize_t size = ::read(terminal_.get(), some.data(), some.size());
            if (size <= 0) return;
            shown_.append(some.data(), static_cast<std::size_t>(size));
        }
    }

    UniqueFd terminal_;
    UniqueFd other_end_;
    termios before_{};
    int pid_ = -1;
    std::string shown_;
    std::size_t seen_ = 0;
};

class Top : public testing::Test {
protected:
    void SetUp() override {
        std::ofstream(scratch_.file("run.toml")) << fmt::format(
            "[control]\nsocket = \"{}\"\n"
            "[[port]]\nname = \"a\\u001b[31m\"\ndevice = \"net_null0,size=64\"\nchain = \"c\"\n"
            "[[chain]]\nname = \"c\"\n[[chain.stage]]\nobject = \"{}/pass.bpf.o\"\n",
            path_, kFilters);
        run_ = std::make_unique<Process>(
            Strings{kProgram, "run", "--config", scratch_.file("run.toml"), "--", "--no-huge"});
        ASSERT_TRUE(run_->says("running, 1 port", 60s)) << run_->said();
    }
    void TearDown() override {
        // A second signal might find the process past its handler.
        if (!stopped_) run_->signal(SIGTERM);
        EXPECT_EQ(run_->wait(60s).status, 0);
    }
    [[nodiscard]] Strings command(Strings words = {}) const {
        words.insert(words.begin(), {kProgram, "top", "--control", path_});
        return words;
    }

    ScratchDirectory scratch_;
    std::string path_ = scratch_.file("control.sock");
    std::unique_ptr<Process> run_;
    bool stopped_ = false;
};

TEST_F(Top, OnceAsPlainText) {
    const Finished done = run_process(command({"--once", "--interval", "0.2"}), 60s);
    EXPECT_EQ(done.status, 0) << done.err;
    EXPECT_EQ(done.err, "");
    EXPECT_FALSE(done.out.contains('\x1b')) << "also a port's name does not reach a terminal";
    for (const std::string text : {"generation 1, up 00:00:", "\nport  ", "\na?[31m ", "  dropped: no_peer ",
                                   "\nworker  ", "\nchain c  ", "\n  pass  ", "\n  in all  ", "100.0%"})
        EXPECT_NE(done.out.find(text), std::string::npos) << text << " in\n" << done.out;
    EXPECT_EQ(done.out.find(" 0.000 Mpps\n"), std::string::npos) << done.out;
}

TEST_F(Top, SeveralViews) {
    const Finished done = run_process(command({"--count", "3", "--interval", "0.05"}), 60s);
    EXPECT_EQ(done.status, 0) << done.err;
    std::size_t views = 0;
    for (std::size_t at = 0; (at = done.out.find("xdplane ", at)) != std::string::npos; ++at) ++views;
    EXPECT_EQ(views, 3U) << done.out;
}

TEST_F(Top, WrongWords) {
    for (const Strings& words : {Strings{"--interval", "0"},
                                 {"--interval", "x"},
                                 {"--interval", "4000"},
                                 {"--count", "0"},
                                 {"--once", "--count", "2"},
                                 {"word"},
                                 {"--frob"}}) {
        const Finished done = run_process(command(words), 60s);
        EXPECT_EQ(done.status, 2);
        EXPECT_EQ(done.out, "");
    }
    const Finished nobody = run_process({kProgram, "top", "--once", "--control", scratch_.file("none")}, 60s);
    EXPECT_EQ(nobody.status, 1);
    EXPECT_EQ(nobody.err, fmt::format("xdplane: {}: No such file or directory (is `xdplane run` running?)\n",
                                      scratch_.file("none")));
}

TEST_F(Top, ItsReaderGoesAway) {
    const auto in_shell = [&](const std::string& script) {
        Strings words = command({"--interval", "0.05"});
        words.insert(words.begin(), {"sh", "-c", script, "sh"});
        return run_process(words, 60s);
    };
    EXPECT_EQ(in_shell("\"$@\" | head -1").err, "xdplane: standard output: cannot be written\n");
    const Finished full = in_shell("\"$@\" >/dev/full");
    EXPECT_EQ(full.status, 1);
    EXPECT_EQ(full.err, "xdplane: standard output: cannot be written\n");
}

TEST_F(Top, TheDataPlaneGoesAway) {
    Process top(command({"--interval", "0.05"}));
    OnTerminal live(command({"--interval", "0.05"}));
    EXPECT_TRUE(live.shows("in all"));
    run_->signal(SIGTERM);
    stopped_ = true;
    const Finished done = top.wait(60s);
    EXPECT_EQ(done.status, 1);
    EXPECT_NE(done.err.find("xdplane: the data plane has gone: "), std::string::npos) << done.err;
    EXPECT_EQ(live.wait(), 1);
    EXPECT_TRUE(live.as_before());
    EXPECT_GT(live.shown().find("the data plane has gone: "), live.shown().find("\x1b[?1049l"));
}

TEST_F(Top, QAndSignalsLeaveTheTerminalAsItWas) {
    for (const int how : {0, SIGINT, SIGTERM, SIGHUP, -1}) {
        OnTerminal live(command({"--interval", "0.05"}));
        EXPECT_TRUE(live.shows("\x1b[?1049h"));
        EXPECT_TRUE(live.shows("in all"));
        if (how == 0)
            live.type('q');
        else if (how == -1)
            live.type('\x03'); // what Ctrl-C is to a terminal
        else
            live.signal(how);
        EXPECT_EQ(live.wait(), 0) << how;
        EXPECT_TRUE(live.as_before()) << how;
    }
}

TEST_F(Top, ItFitsTheWindow) {
    OnTerminal live(command({"--interval", "0.05"}));
    EXPECT_TRUE(live.shows("\x1b[1mport"));
    live.resize(5, 30);
    EXPECT_TRUE(live.shows("more lines; the window"));
    EXPECT_TRUE(live.shows("\x1b[1mport" + std::string(24, ' ') + "Mp\x1b[0m"));
    live.resize(40, 120);
    EXPECT_TRUE(live.shows("in all"));
    live.type('q');
    EXPECT_EQ(live.wait(), 0);
}

TEST_F(Top, ColoursCanBeTurnedOff) {
    OnTerminal live(command({"--interval", "0.05"}), "1");
    EXPECT_TRUE(live.shows("in all"));
    live.type('q');
    EXPECT_EQ(live.wait(), 0);
    EXPECT_FALSE(live.shown().contains("\x1b[1m"));
    EXPECT_FALSE(live.shown().contains("\x1b[33m"));
}

} // namespace
} // namespace xdplane
