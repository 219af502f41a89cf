// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "cli/terminal.h"

#include <cstdio>
#include <cstdlib>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fmt/format.h>

namespace xdplane::cli {
namespace {

bool wants_colour() {
    const char* const terminal = std::getenv("TERM");
    const char* const none = std::getenv("NO_COLOR"); // no-color.org
    return (none == nullptr || *none == '\0') && terminal != nullptr && std::string_view(terminal) != "dumb";
}

bool write_all(std::string_view text) {
    return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

} // namespace

Terminal::Terminal() : screen_(::isatty(STDOUT_FILENO) == 1), colour_(wants_colour()) {
    sigset_t set;
    sigemptyset(&set);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGWINCH}) sigaddset(&set, signal);
    pthread_sigmask(SIG_BLOCK, &set, &mask_before_);
    signals_ = UniqueFd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    if (!screen_) return;
    keys_ = ::isatty(STDIN_FILENO) == 1 && ::tcgetattr(STDIN_FILENO, &before_) == 0;
    if (keys_) {
        termios raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
        raw.c_cc[VMIN] = 0;
        raw.c_cc[VTIME] = 0;
        raw.c_cc[VSUSP] = _POSIX_VDISABLE; // who stopped it would be left on the second screen
        ::tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    (void)write_all("\x1b[?1049h\x1b[?25l");
}

Terminal::~Terminal() {
    if (screen_) (void)write_all("\x1b[?25h\x1b[?1049l");
    if (keys_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
    signalfd_siginfo taken{};
    while (signals_ && ::read(signals_.get(), &taken, sizeof taken) > 0) {
    }
    pthread_sigmask(SIG_SETMASK, &mask_before_, nullptr);
}

bool Terminal::show(const std::vector<TopLine>& lines) {
    if (screen_) return show_on_screen(lines);
    std::string text = first_ ? "" : "\n";
    for (const TopLine& line : lines) text += line.text + "\n";
    first_ = false;
    return write_all(text);
}

bool Terminal::show_on_screen(const std::vector<TopLine>& lines) const {
    winsize window{};
    if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) != 0 || window.ws_row == 0 || window.ws_col == 0)
        window = {.ws_row = 24, .ws_col = 80, .ws_xpixel = 0, .ws_ypixel = 0};
    const std::size_t rows = window.ws_row;
    const std::size_t shown = lines.size() <= rows ? lines.size() : rows - 1;
    std::string frame = "\x1b[H";
    for (std::size_t i = 0; i < shown; ++i) {
        const bool styled = lines[i].kind != TopLine::Kind::plain && colour_;
        if (i != 0) frame += "\r\n";
        if (styled) frame += lines[i].kind == TopLine::Kind::heading ? "\x1b[1m" : "\x1b[33m";
        frame += cut_to(lines[i].text, window.ws_col);
        if (styled) frame += "\x1b[0m";
        frame += "\x1b[K";
    }
    if (shown < lines.size())
        frame +=
            cut_to(fmt::format("\r\n{} more lines; the window is too small for them", lines.size() - shown),
                   window.ws_col + std::size_t{2}) +
            "\x1b[K";
    frame += "\x1b[J";
    return write_all(frame);
}

Terminal::Event Terminal::wait(std::chrono::milliseconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    for (;;) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
        if (left.count() <= 0) return Event::time_is_up;
        pollfd sources[2] = {{.fd = signals_.get(), .events = POLLIN, .revents = 0},
                             {.fd = keys_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0}};
        if (::poll(sources, 2, static_cast<int>(left.count())) <= 0) continue;
        signalfd_siginfo taken{};
        if (sources[0].revents != 0 && ::read(signals_.get(), &taken, sizeof taken) == sizeof taken)
            return taken.ssi_signo == SIGWINCH ? Event::resized : Event::quit;
        char key = 0;
        if (sources[1].revents == 0) continue;
        const ssize_t got = ::read(STDIN_FILENO, &key, 1);
        if (got == 1 && (key == 'q' || key == 'Q')) return Event::quit;
        if (got <= 0) keys_ = false; // hung up
    }
}

} // namespace xdplane::cli
