// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// Lists: a key a line, and perhaps its value behind it.
#include <cerrno>
#include <vector>

#include "dataplane/btf_json.h"
#include "dataplane/map_file.h"
#include "dataplane/map_keys.h"
#include "dataplane/text_lines.h"

namespace xdplane {
namespace {

/// Values of lines, which are the same for many of them.
class ListValues {
public:
    ListValues(const Map& map, MapEntries& entries) : map_(map), entries_(entries) {}

    Result<u32> read(std::string_view text) {
        if (text.empty()) return MapEntries::kNothingGiven;
        if (text == last_text_) return last_;
        Json json = Json::parse(text, nullptr, false);
        if (json.is_discarded()) json = std::string(text);
        std::vector<u8> bits(map_.syscall_value_size());
        std::vector<u8> ones(bits.size(), 0xff);
        if (auto done = value_from_json(map_, json, bits); !done) return fail(done.error(), "value");
        if (auto done = value_from_json(map_, json, ones); !done) return fail(done.error(), "value");
        for (std::size_t i = 0; i < ones.size(); ++i) ones[i] = static_cast<u8>(~(bits[i] ^ ones[i]));
        last_ = entries_.value(bits, ones);
        last_text_ = text;
        return last_;
    }

private:
    const Map& map_;
    MapEntries& entries_;
    std::string_view last_text_;
    u32 last_ = MapEntries::kNothingGiven;
};

} // namespace

Result<MapEntries> parse_list_entries(const NamedMap& named, std::string_view text, const std::string& path) {
    const auto reader = KeyReader::make(*named.map);
    if (!reader) return fail(reader.error(), fmt::format("{}: map {}", path, named.name));
    MapEntries entries(*named.map, path, MapEntries::Position::line);
    ListValues values(*named.map, entries);
    const std::size_t key_size = named.map->spec().key_size;
    std::vector<u8> keys;
    TextLines lines(text);
    while (lines.next()) {
        const auto error = [&](std::string_view reason) {
            return fail(EINVAL, "{}:{}: {}", path, lines.number(), reason);
        };
        const std::string_view line = trimmed(lines.line().substr(0, lines.line().find_first_of("#;")));
        if (line.empty()) continue;
        if (line.size() > kMaxMapLine)
            return error(fmt::format("the line has more than {} characters", kMaxMapLine));
        if (!TextLines::is_plain(line)) return error("a character that is not plain ASCII");
        const std::size_t blank = line.find_first_of(" \t");
        keys.clear();
        if (auto done = reader->read(line.substr(0, blank), keys); !done) return error(done.error().message);
        const auto value = values.read(blank == std::string_view::npos ? "" : trimmed(line.substr(blank)));
        if (!value) return error(value.error().message);
        for (std::size_t at = 0; at < keys.size(); at += key_size)
            entries.add(std::span(keys).subspan(at, key_size), lines.number(), *value);
    }
    return entries;
}

} // namespace xdplane
