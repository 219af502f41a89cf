// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "bpf/libbpf/messages.h"

#include <bpf/libbpf.h>
#include <cstdarg>
#include <cstdio>

namespace xdplane {

namespace {

constexpr std::string_view kBegin = "-- BEGIN PROG LOAD LOG --\n";
constexpr std::string_view kEnd = "-- END PROG LOAD LOG --";

std::recursive_mutex& libbpf_lock() {
    static auto& lock = *new std::recursive_mutex;
    return lock;
}
MessageCapture* g_capture = nullptr; // guarded by libbpf_lock()

/// The line behind which nothing but statistics follows.
std::string last_reason(std::string_view log) {
    std::string_view reason;
    while (!log.empty()) {
        const std::size_t end = log.find('\n');
        const std::string_view line = log.substr(0, end);
        log = end == std::string_view::npos ? std::string_view{} : log.substr(end + 1);
        const bool statistic = line.starts_with("processed ") || line.starts_with("verification time ") ||
                               line.starts_with("stack depth ");
        if (!line.empty() && !statistic) reason = line;
    }
    return std::string(reason);
}

} // namespace

struct MessageSink {
    static int print(libbpf_print_level level, const char* format, va_list list) {
        va_list again;
        va_copy(again, list);
        const int size = std::vsnprintf(nullptr, 0, format, again);
        va_end(again);
        if (size <= 0 || g_capture == nullptr) return 0;
        std::string text(static_cast<std::size_t>(size) + 1, '\0');
        std::vsnprintf(text.data(), text.size(), format, list);
        text.pop_back();
        if (level == LIBBPF_WARN || text.find(kBegin) != std::string::npos) g_capture->text_ += text;
        return 0;
    }
};

MessageCapture::MessageCapture() : held_(libbpf_lock()), outer_(g_capture) {
    g_capture = this;
    libbpf_set_print(&MessageSink::print);
}

MessageCapture::~MessageCapture() { g_capture = outer_; }

std::string MessageCapture::last_line(std::string_view fallback) const {
    std::string_view text = text_;
    constexpr std::string_view kPrefix = "libbpf: ";
    if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
    text = text.substr(0, text.find('\n'));
    return std::string(text.empty() ? fallback : text);
}

VerifierMessages read_verifier_messages(const std::string& text) {
    VerifierMessages result;
    std::size_t at = 0;
    while ((at = text.find(kBegin, at)) != std::string::npos) {
        const std::size_t line = text.rfind('\n', at) + 1; // npos + 1: the start
        const std::size_t begin = at + kBegin.size();
        const std::size_t end = text.find(kEnd, begin);
        const std::string log = text.substr(begin, end == std::string::npos ? end : end - begin);
        result.log += log;
        // "libbpf: prog 'NAME': -- BEGIN..."
        const std::size_t quote = text.find('\'', line);
        const std::size_t close = quote < at ? text.find('\'', quote + 1) : std::string::npos;
        if (close < at) result.program = text.substr(quote + 1, close - quote - 1);
        result.reason = last_reason(log);
        at = begin;
    }
    return result;
}

} // namespace xdplane
