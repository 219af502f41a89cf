// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "cli/log.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fmt/format.h>
#include <memory>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/stat.h>
#include <unistd.h>

namespace xdplane::cli {
namespace {

struct Level {
    std::string_view name;
    spdlog::level::level_enum level;
    char priority; ///< syslog(3)'s number
};
constexpr Level kLevels[] = {
    {"error", spdlog::level::err, '3'},
    {"warning", spdlog::level::warn, '4'},
    {"info", spdlog::level::info, '6'},
    {"debug", spdlog::level::debug, '7'},
};

/// stderr is the stream that the variable names: it may have been redirected since.
bool is_journal() {
    const char* const stream = std::getenv("JOURNAL_STREAM");
    struct stat st{};
    return stream != nullptr && fstat(STDERR_FILENO, &st) == 0 &&
           fmt::format("{}:{}", st.st_dev, st.st_ino) == stream;
}

/// The pattern's "%*".
class Priority final : public spdlog::custom_flag_formatter {
public:
    void format(const spdlog::details::log_msg& message, const std::tm&,
                spdlog::memory_buf_t& out) override {
        const auto* const row = std::ranges::find(kLevels, message.level, &Level::level);
        out.push_back(row != std::end(kLevels) ? row->priority : '6');
    }
    [[nodiscard]] std::unique_ptr<custom_flag_formatter> clone() const override {
        return std::make_unique<Priority>();
    }
};

std::unique_ptr<spdlog::formatter> formatter(bool time) {
    auto made = std::make_unique<spdlog::pattern_formatter>();
    made->add_flag<Priority>('*');
    made->set_pattern(is_journal() ? "<%*>%v" : time ? "%Y-%m-%dT%H:%M:%S.%e%z xdplane: %v" : "xdplane: %v");
    return made;
}

spdlog::logger& logger() {
    static spdlog::logger one = [] {
        spdlog::logger made("xdplane", std::make_shared<spdlog::sinks::stderr_sink_mt>());
        made.set_formatter(formatter(false));
        made.set_level(spdlog::level::debug);
        made.flush_on(spdlog::level::debug);
        return made;
    }();
    return one;
}

void write(spdlog::level::level_enum level, std::string_view message) {
    std::string line(message);
    // File names and libraries may bring what a terminal must not see.
    for (char& c : line)
        if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
    logger().log(level, spdlog::string_view_t(line.data(), line.size()));
}

} // namespace

Result<> start_log(const std::string& level, bool time) {
    const auto* const row = std::ranges::find(kLevels, level, &Level::name);
    if (row == std::end(kLevels)) return fail(EINVAL, "log level '{}': must be {}", level, kLogLevels);
    logger().set_formatter(formatter(time));
    logger().set_level(row->level);
    return {};
}

void log_error(std::string_view message) { write(spdlog::level::err, message); }
void log_warning(std::string_view message) { write(spdlog::level::warn, message); }
void log_info(std::string_view message) { write(spdlog::level::info, message); }

} // namespace xdplane::cli
