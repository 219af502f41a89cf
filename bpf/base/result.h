// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
#pragma once
#include <expected>
#include <string>
#include <utility>

#include <fmt/format.h>

/// Errors of the control plane. Every fallible function that is not on the data path returns a Result; the
/// data path has verdicts and counters instead.
namespace xdplane {

/// What went wrong: an errno of Linux (positive, never 0) and one line for a person, without a full stop or
/// a newline. A layer that knows more (which file, which program) prepends it once with context().
struct Error {
    int code = 0;
    std::string message;

    /// The same error with "where: " in front of the message.
    [[nodiscard]] Error context(std::string_view where) const {
        return {code, fmt::format("{}: {}", where, message)};
    }
};

template<class T = void>
using Result = std::expected<T, Error>;

/// `return fail(EINVAL, "key size {} is not 4", n);`
template<class... Args>
[[nodiscard]] std::unexpected<Error> fail(int code, fmt::format_string<Args...> text, Args&&... args) {
    return std::unexpected(Error{code, fmt::format(text, std::forward<Args>(args)...)});
}

/// Hands an error of one Result on to another type of Result, with context.
[[nodiscard]] inline std::unexpected<Error> fail(const Error& error, std::string_view where) {
    return std::unexpected(error.context(where));
}
[[nodiscard]] inline std::unexpected<Error> fail(Error error) { return std::unexpected(std::move(error)); }

} // namespace xdplane
