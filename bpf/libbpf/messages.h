// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <mutex>
#include <string>
#include <string_view>

namespace xdplane {

/// Holds libbpf for one thread, and collects what it prints, which would go to stderr.
class MessageCapture {
public:
    MessageCapture();
    ~MessageCapture();
    MessageCapture(const MessageCapture&) = delete;
    MessageCapture& operator=(const MessageCapture&) = delete;

    /// Warnings, and logs of the verifier at any level.
    [[nodiscard]] const std::string& text() const { return text_; }
    /// The first warning without "libbpf: ", or the fallback: later ones only say what failed in turn.
    [[nodiscard]] std::string last_line(std::string_view fallback) const;

private:
    friend struct MessageSink;
    std::unique_lock<std::recursive_mutex> held_;
    MessageCapture* outer_;
    std::string text_;
};

/// What libbpf printed of the verifier's logs.
struct VerifierMessages {
    std::string log;     ///< all logs, one after the other
    std::string program; ///< the program that was rejected; empty if none was
    std::string reason;  ///< the last line of its log that is no statistic
};
[[nodiscard]] VerifierMessages read_verifier_messages(const std::string& text);

} // namespace xdplane
