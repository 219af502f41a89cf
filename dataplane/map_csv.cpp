// SPDX-License-Identifier: BSD-3-Clause
// Copyright (c) 2026, the xdplane authors
//
// CSV (RFC 4180): a header line with the names of members, then an entry a line.
#include <algorithm>
#include <cerrno>
#include <optional>
#include <vector>

#include "dataplane/btf_json.h"
#include "dataplane/map_file.h"
#include "dataplane/map_keys.h"
#include "dataplane/text_lines.h"

namespace xdplane {
namespace {

using Cells = std::vector<std::string>;

/// Takes a line apart: cells in quotes may hold commas, and quotes twice.
Result<> split(std::string_view line, Cells& cells) {
    cells.clear();
    for (bool more = true; more;) {
        line = trimmed(line);
        std::string& cell = cells.emplace_back();
        if (cells.size() > kMaxCsvColumns) return fail(E2BIG, "more than {} columns", kMaxCsvColumns);
        std::size_t end = 0;
        if (line.starts_with('"')) {
            for (end = 1;; ++end) {
                if (end >= line.size()) return fail(EINVAL, "a quote is not closed on its line");
                if (line[end] == '"' && line.substr(end + 1).starts_with('"'))
                    ++end;
                else if (line[end] == '"')
                    break;
                cell += line[end];
            }
            line.remove_prefix(end + 1);
            end = std::min(line.find(','), line.size());
            if (!trimmed(line.substr(0, end)).empty()) return fail(EINVAL, "text behind a closing quote");
        } else {
            end = std::min(line.find(','), line.size());
            cell = trimmed(line.substr(0, end));
        }
        more = end < line.size();
        line.remove_prefix(end + (more ? 1 : 0));
    }
    return {};
}

/// Where the cells of a column go.
struct Column {
    enum class Kind : u8 { word, key_field, value, value_field };
    std::string name;
    Kind kind;
    BtfPlace place;
    std::vector<u8> mask; ///< of the value
};

class CsvReader {
public:
    CsvReader(const NamedMap& named, const std::string& path)
        : map_(*named.map), entries_(map_, path, MapEntries::Position::line) {}

    Result<> read_header(const Cells& names) {
        if (auto word = KeyReader::make(map_); word) reader_ = *word;
        u32 words = 0;
        u32 key_fields = 0;
        for (const std::string& name : names) {
            if (std::ranges::find(columns_, name, &Column::name) != columns_.end())
                return fail(EEXIST, "a second column is called {}", shown(name));
            auto column = find_column(name);
            if (!column) return fail(column.error(), fmt::format("column {}", shown(name)));
            words += column->kind == Column::Kind::word ? 1 : 0;
            key_fields += column->kind == Column::Kind::key_field ? 1 : 0;
            columns_.push_back(std::move(*column));
        }
        if (words + key_fields == 0) return fail(EINVAL, "no column says the key");
        if (words > 1 || (words == 1 && key_fields != 0)) return fail(EINVAL, "two columns say the key");
        return {};
    }

    Result<> read_row(const Cells& cells, u32 line) {
        if (cells.size() != columns_.size())
            return fail(EINVAL, "{} cells, and the header has {}", cells.size(), columns_.size());
        keys_.assign(map_.spec().key_size, 0);
        std::vector<u8> bits(map_.spec().value_size);
        std::vector<u8> mask(bits.size());
        for (std::size_t i = 0; i < cells.size(); ++i)
            if (auto done = read_cell(columns_[i], cells[i], bits, mask); !done)
                return fail(done.error(), columns_[i].name);
        const bool given = std::ranges::any_of(mask, [](u8 byte) { return byte != 0; });
        const u32 value = given ? entries_.value(bits, mask) : MapEntries::kNothingGiven;
        const std::size_t size = map_.spec().key_size;
        for (std::size_t at = 0; at < keys_.size(); at += size)
            entries_.add(std::span(keys_).subspan(at, size), line, value);
        return {};
    }

    [[nodiscard]] bool has_header() const { return !columns_.empty(); }
    [[nodiscard]] MapEntries take() { return std::move(entries_); }

private:
    /// "key", "prefix", "value"; "key.NAME", "value.NAME"; NAME where only one of the two has it.
    Result<Column> find_column(const std::string& name) const {
        const MapSpec& spec = map_.spec();
        if (name == "key" || name == "prefix") {
            if (!reader_) return fail(EINVAL, "keys of this map have several fields: a column for each");
            return Column{.name = name, .kind = Column::Kind::word, .place = {}, .mask = {}};
        }
        if (name == "value")
            return Column{.name = name,
                          .kind = Column::Kind::value,
                          .place = {},
                          .mask = std::vector<u8>(spec.value_size, 0xff)};
        if (spec.btf == nullptr) return fail(EINVAL, "there is no BTF that knows such a field");
        const auto key = find_field(name, "key.", spec.btf_key_type_id);
        const auto value = find_field(name, "value.", spec.btf_value_type_id);
        if (key && value) return fail(EINVAL, "key and value have one: say key.{0} or value.{0}", name);
        if (!key && !value) return fail(EINVAL, "neither key nor value has such a field");
        if (key) return Column{.name = name, .kind = Column::Kind::key_field, .place = *key, .mask = {}};
        Column column{.name = name, .kind = Column::Kind::value_field, .place = *value, .mask = {}};
        column.mask.resize(spec.value_size);
        const u64 end = std::min(u64{value->bit_offset} + value->bit_size, u64{spec.value_size} * 8);
        for (u64 bit = value->bit_offset; bit < end; ++bit)
            column.mask[bit / 8] |= static_cast<u8>(1U << (bit % 8));
        return column;
    }

    [[nodiscard]] std::optional<BtfPlace> find_field(std::string_view name, std::string_view prefix,
                                                     u32 type) const {
        const std::string_view other = prefix == "key." ? "value." : "key.";
        if (type == 0 || name.empty() || name.starts_with(other)) return std::nullopt;
        if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
        const auto place = find_btf_place(*map_.spec().btf, type, name);
        return place && place->bit_size != 0 ? std::optional(*place) : std::nullopt;
    }

    Result<> read_cell(const Column& column, const std::string& cell, std::span<u8> bits,
                       std::span<u8> mask) {
        const bool of_key = column.kind == Column::Kind::word || column.kind == Column::Kind::key_field;
        if (cell.empty()) return of_key ? fail(EINVAL, "is empty") : Result<>{};
        for (std::size_t i = 0; i < column.mask.size(); ++i) mask[i] |= column.mask[i];
        switch (column.kind) {
        case Column::Kind::word: keys_.clear(); return reader_->read(cell, keys_);
        case Column::Kind::key_field: return read_field(column.place, cell, keys_);
        case Column::Kind::value:
            return bytes_from_json(map_, map_.spec().btf_value_type_id, json_of(cell), bits);
        case Column::Kind::value_field: return read_field(column.place, cell, bits);
        }
        return {};
    }

    /// Numbers, names of enumerators, text, hex digits, lists in JSON; and addresses, in network order.
    [[nodiscard]] Result<> read_field(const BtfPlace& place, const std::string& cell,
                                      std::span<u8> bytes) const {
        const Btf& btf = *map_.spec().btf;
        const std::size_t at = place.bit_offset / 8;
        const std::size_t size = place.bit_size / 8;
        if (place.bits == 0 && at + size > bytes.size()) return fail(EINVAL, "is behind the end");
        if (const auto address = parse_address(cell); !address.empty() && place.bits == 0) {
            // IPv4 in a field for both: in front, as the filters have it.
            if (size != address.size() && size != 16)
                return fail(EINVAL, "{} does not fit {} bytes", shown(cell), size);
            std::ranges::copy(address, bytes.subspan(at).begin());
            return {};
        }
        Json json = json_of(cell);
        if (u64 number = 0; parse_number(cell, number)) json = number;
        auto done = btf_place_from_json(btf, place, json, bytes);
        const bool is_array = btf.kind(btf.resolve(place.type)) == BtfKind::array;
        if (done || place.bits != 0 || !json.is_string() || !is_array) return done;
        if (from_hex(cell, bytes.subspan(at, size))) return {};
        return done;
    }

    static Json json_of(const std::string& cell) {
        Json json = Json::parse(cell, nullptr, false);
        if (json.is_discarded()) json = cell;
        return json;
    }

    const Map& map_;
    MapEntries entries_;
    std::optional<KeyReader> reader_;
    std::vector<Column> columns_;
    std::vector<u8> keys_; ///< of the row
};

} // namespace

Result<MapEntries> parse_csv_entries(const NamedMap& map, std::string_view text, const std::string& path) {
    CsvReader reader(map, path);
    Cells cells;
    TextLines lines(text);
    while (lines.next()) {
        const std::string_view line = lines.line();
        const auto error = [&](std::string_view reason) {
            return fail(EINVAL, "{}:{}: {}", path, lines.number(), reason);
        };
        if (line.empty() || line.starts_with('#')) continue;
        if (line.size() > kMaxMapLine)
            return error(fmt::format("the line has more than {} characters", kMaxMapLine));
        if (!TextLines::is_plain(line)) return error("a character that is not plain ASCII");
        if (auto done = split(line, cells); !done) return error(done.error().message);
        const bool header = !reader.has_header();
        if (auto done = header ? reader.read_header(cells) : reader.read_row(cells, lines.number()); !done)
            return error(done.error().message);
    }
    if (!reader.has_header()) return fail(EINVAL, "{}: map {}: has no header line", path, map.name);
    return reader.take();
}

} // namespace xdplane
