// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#include "cli/config_watch.h"

#include "cli/log.h"

namespace xdplane::cli {

Result<std::unique_ptr<ConfigWatch>> ConfigWatch::open(boost::asio::io_context& io, const Daemon& daemon,
                                                       Time loading) {
    std::unique_ptr<ConfigWatch> watch(new ConfigWatch(daemon));
    auto files = FileWatch::open(io, [raw = watch.get()] { raw->changed_ = true; });
    if (!files) return fail(files.error());
    watch->files_ = std::move(*files);
    watch->watch(loading);
    return watch;
}

void ConfigWatch::look() {
    const bool same = generation_ == daemon_.generation() && last_error_ == daemon_.last_error();
    const Time before = looked_;
    looked_ = std::chrono::system_clock::now();
    if (!same) watch(before);
}

/// A configuration that was refused may name the very file that is to be mended.
void ConfigWatch::watch(Time since) {
    generation_ = daemon_.generation();
    last_error_ = daemon_.last_error();
    std::vector<std::string> all = daemon_.running().config.files();
    if (!last_error_.empty())
        if (const auto refused = read_config(daemon_.running().config.path)) {
            const std::vector<std::string> more = refused->files();
            all.insert(all.end(), more.begin(), more.end());
        }
    for (const std::string& failed : files_->watch(all, since))
        if (told_.insert(failed).second) log_warning(fmt::format("--watch: {}", failed));
    looked_ = std::chrono::system_clock::now();
}

bool ConfigWatch::take() {
    if (!std::exchange(changed_, false)) return false;
    generation_ = 0; // what it names may be others, whatever comes of it
    log_info("a file of the configuration has changed");
    return true;
}

} // namespace xdplane::cli
