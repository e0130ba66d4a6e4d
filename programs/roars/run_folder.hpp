#pragma once

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "roars/error.hpp"

namespace roars::program {

/// The folder of one run: settings.json, metrics.jsonl, checkpoint.safetensors, summary.json, curve.svg. Every failure
/// to write is one Error that names the file and the reason.
class RunFolder {
public:
    explicit RunFolder(std::filesystem::path path) : path_(std::move(path)) {}

    std::string file(const std::string& name) const { return (path_ / name).string(); }
    bool has(const std::string& name) const { return std::filesystem::exists(path_ / name); }

    /// Creates the folder, and makes sure before anything is computed that it can be written to.
    void create() const {
        std::error_code failure;
        std::filesystem::create_directories(path_, failure);
        expect(!failure, [&] { return path_.string() + ": cannot create this folder: " + failure.message(); });
        write(".writable", "");
        std::filesystem::remove(path_ / ".writable", failure);
    }

    void write(const std::string& name, const std::string& text) const {
        errno = 0;
        std::ofstream stream(path_ / name, std::ios::binary | std::ios::trunc);
        stream << text;
        finish(stream, name);
    }
    void append_line(const std::string& name, const std::string& line) const {
        errno = 0;
        std::ofstream stream(path_ / name, std::ios::binary | std::ios::app);
        stream << line << '\n';
        finish(stream, name);
    }

    /// The lines of metrics.jsonl before step `steps`; later ones, which a killed run left behind, are cut off.
    std::vector<nlohmann::json> keep_metrics(std::int64_t steps) const {
        std::vector<nlohmann::json> kept;
        std::ifstream stream(path_ / "metrics.jsonl");
        std::string text;
        for (std::string line; std::getline(stream, line);) {
            auto json = nlohmann::json::parse(line, nullptr, false);
            if (json.is_discarded() || json.value("step", std::int64_t(0)) >= steps) break;
            kept.push_back(json);
            text += line + '\n';
        }
        stream.close();
        write("metrics.jsonl", text);
        return kept;
    }

private:
    void finish(std::ofstream& stream, const std::string& name) const {
        stream.close();
        expect(!stream.fail(), [&] {
            return (path_ / name).string() + ": cannot write: " + (errno ? std::strerror(errno) : "unknown reason");
        });
    }

    std::filesystem::path path_;
};

}  // namespace roars::program
