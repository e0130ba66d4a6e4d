#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "roars/actors/tensors.hpp"
#include "roars/error.hpp"

namespace roars {

/// Named tensors with a file in the safetensors format: 8 bytes of header length (little endian), a JSON header
/// {"name": {"dtype", "shape", "data_offsets"}, "__metadata__": {string: string}}, then the raw data without holes.
/// Read and written: F32, F64 and I64. Tensors of other types may lie in a file that is read; asking for one is an
/// error.
class SafeTensors : public Tensors {
public:
    /// Writes beside `path` and renames, so that a reader never sees half a file.
    void save(const std::string& path) const {
        std::string header = header_text();
        std::string partial = path + ".partial";
        {
            std::ofstream out(partial, std::ios::binary | std::ios::trunc);
            expect(out.good(),
                   [&] { return path + ": cannot be written, expected a folder that exists and may be written"; });
            std::uint64_t length = header.size();
            for (int byte = 0; byte < 8; ++byte) out.put(static_cast<char>(length >> (8 * byte) & 0xff));
            out << header;
            for (const auto& [name, tensor] : tensors_)
                out.write(tensor.bytes.data(), static_cast<std::streamsize>(tensor.bytes.size()));
            out.close();
            if (!out) std::remove(partial.c_str());
            expect(out.good(), [&] { return path + ": writing failed, expected room on the disk"; });
        }
        std::error_code failure;
        std::filesystem::rename(partial, path, failure);
        if (failure) std::remove(partial.c_str());
        expect(!failure, [&] { return path + ": cannot be replaced (" + failure.message() + ")"; });
    }

    static SafeTensors load(const std::string& path) {
        std::error_code failure;
        auto size = std::filesystem::file_size(path, failure);
        std::ifstream in(path, std::ios::binary);
        expect(!failure && in.good(), [&] { return path + ": cannot be read, expected a safetensors file"; });
        SafeTensors file;
        file.path_ = path;
        file.parse_header(in, static_cast<std::uint64_t>(size));
        return file;
    }

private:
    static_assert(std::endian::native == std::endian::little, "safetensors data are little endian");

    /// Bytes an element; 0 for a type that the format does not know.
    static std::int64_t width_of(const std::string& dtype) {
        if (dtype == "F64" || dtype == "I64" || dtype == "U64") return 8;
        if (dtype == "F32" || dtype == "I32" || dtype == "U32") return 4;
        if (dtype == "F16" || dtype == "BF16" || dtype == "I16" || dtype == "U16") return 2;
        if (dtype == "I8" || dtype == "U8" || dtype == "BOOL" || dtype == "F8_E4M3" || dtype == "F8_E5M2") return 1;
        return 0;
    }

    std::string header_text() const {
        nlohmann::json header = nlohmann::json::object();
        if (!metadata.empty()) header["__metadata__"] = metadata;
        std::uint64_t offset = 0;
        for (const auto& [name, tensor] : tensors_) {
            std::uint64_t end = offset + tensor.bytes.size();
            header[name] = {{"dtype", tensor.dtype}, {"shape", tensor.shape}, {"data_offsets", {offset, end}}};
            offset = end;
        }
        std::string dumped = header.dump();
        dumped.append((8 - dumped.size() % 8) % 8, ' ');
        return dumped;
    }

    struct Extent {
        std::uint64_t begin, end;
        std::string name;
    };

    void parse_header(std::ifstream& in, std::uint64_t file_size) {
        expect(file_size >= 8, [&] {
            return path_ + ": truncated, " + std::to_string(file_size) + " bytes, expected at least 8 of header length";
        });
        unsigned char raw[8];
        in.read(reinterpret_cast<char*>(raw), 8);
        std::uint64_t length = 0;
        for (int byte = 0; byte < 8; ++byte) length |= static_cast<std::uint64_t>(raw[byte]) << (8 * byte);
        expect(length <= file_size - 8, [&] {
            return path_ + ": truncated, the header needs " + std::to_string(length) + " bytes, the file has " +
                   std::to_string(file_size - 8) + " left";
        });
        std::string header(length, '\0');
        in.read(header.data(), static_cast<std::streamsize>(length));
        nlohmann::json parsed = nlohmann::json::parse(header, nullptr, false);
        expect(parsed.is_object(), [&] { return path_ + ": the header is not JSON, expected an object of tensors"; });

        std::vector<Extent> extents;
        for (const auto& [name, entry] : parsed.items())
            if (name == "__metadata__")
                parse_metadata(entry);
            else
                extents.push_back(parse_entry(name, entry, file_size - 8 - length));
        check_layout(extents, file_size - 8 - length);
        for (const Extent& extent : extents) {
            std::vector<char>& bytes = tensors_[extent.name].bytes;
            bytes.resize(extent.end - extent.begin);
            in.seekg(static_cast<std::streamoff>(8 + length + extent.begin));
            in.read(bytes.data(), static_cast<std::streamsize>(bytes.size()));
            expect(in.good(), [&] { return where(extent.name) + ": cannot be read"; });
        }
    }

    void parse_metadata(const nlohmann::json& entry) {
        expect(entry.is_object(), [&] { return path_ + ": __metadata__ is not an object of strings"; });
        for (const auto& [key, value] : entry.items()) {
            const std::string& word = key;
            expect(value.is_string(), [&] { return path_ + ": __metadata__ '" + word + "' is not a string"; });
            metadata[key] = value.get<std::string>();
        }
    }

    Extent parse_entry(const std::string& name, const nlohmann::json& entry, std::uint64_t data_size) {
        auto is_list = [&](const char* key) {
            return entry.is_object() && entry.contains(key) && entry[key].is_array() &&
                   std::all_of(entry[key].begin(), entry[key].end(),
                               [](const nlohmann::json& number) { return number.is_number_unsigned(); });
        };
        expect(is_list("shape") && is_list("data_offsets") && entry["data_offsets"].size() == 2 &&
                   entry.contains("dtype") && entry["dtype"].is_string(),
               [&] { return where(name) + ": header entry lacks dtype, shape or two data_offsets"; });
        Tensor tensor{entry["dtype"].get<std::string>(), entry["shape"].get<std::vector<std::int64_t>>(), {}};
        std::uint64_t begin = entry["data_offsets"][0].get<std::uint64_t>();
        std::uint64_t end = entry["data_offsets"][1].get<std::uint64_t>();
        std::int64_t width = width_of(tensor.dtype), elements = count(tensor.shape);
        expect(width > 0,
               [&] { return where(name) + ": dtype '" + tensor.dtype + "' is unknown, expected F32 or F64"; });
        expect(begin <= end && end <= data_size, [&] {
            return where(name) + ": data_offsets [" + std::to_string(begin) + ", " + std::to_string(end) +
                   ") leave the " + std::to_string(data_size) + " bytes of data (truncated file?)";
        });
        expect(elements >= 0 && static_cast<std::uint64_t>(elements * width) == end - begin, [&] {
            return where(name) + ": shape " + text(tensor.shape) + " of " + tensor.dtype + " does not fill " +
                   std::to_string(end - begin) + " bytes";
        });
        tensors_[name] = std::move(tensor);
        return {begin, end, name};
    }

    /// The data are covered once, without overlap and without holes.
    void check_layout(std::vector<Extent>& extents, std::uint64_t data_size) const {
        std::sort(extents.begin(), extents.end(), [](const Extent& a, const Extent& b) {
            return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
        });
        std::uint64_t covered = 0;
        for (const Extent& extent : extents) {
            expect(extent.begin >= covered, [&] { return where(extent.name) + ": data overlap with another tensor"; });
            expect(extent.begin == covered, [&] { return where(extent.name) + ": a hole in the data before it"; });
            covered = extent.end;
        }
        expect(covered == data_size, [&] {
            return path_ + ": " + std::to_string(data_size - covered) + " bytes after the last tensor, expected none";
        });
    }
};

}  // namespace roars
