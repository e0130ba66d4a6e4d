#pragma once

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include <unistd.h>

namespace roars::program {

/// Progress on standard error: a bar with the time left on a terminal, a plain line now and then elsewhere.
class ProgressBar {
public:
    ProgressBar(std::string title, std::int64_t total, std::int64_t done = 0)
        : title_(std::move(title)), total_(total), first_(done), terminal_(isatty(STDERR_FILENO) != 0) {}

    void show(std::int64_t done, const std::string& note) {
        double passed = std::chrono::duration<double>(Clock::now() - start_).count();
        double left = done > first_ ? passed / double(done - first_) * double(total_ - done) : 0.0;
        if (terminal_) {
            constexpr int width = 24;
            int filled = total_ > 0 ? static_cast<int>(width * done / total_) : width;
            std::fprintf(stderr, "\r\033[K%s [%s%s] %lld/%lld  %s left  %s", title_.c_str(),
                         std::string(std::size_t(filled), '#').c_str(),
                         std::string(std::size_t(width - filled), '.').c_str(), static_cast<long long>(done),
                         static_cast<long long>(total_), clock(left).c_str(), note.c_str());
            if (done == total_) std::fputc('\n', stderr);
        } else if (done == total_ || passed - told_ >= 10.0) {
            told_ = passed;
            std::fprintf(stderr, "%s %lld/%lld  %s left  %s\n", title_.c_str(), static_cast<long long>(done),
                         static_cast<long long>(total_), clock(left).c_str(), note.c_str());
        }
        std::fflush(stderr);
    }

private:
    using Clock = std::chrono::steady_clock;

    static std::string clock(double seconds) {
        auto whole = static_cast<long long>(seconds + 0.5);
        char text[32];
        std::snprintf(text, sizeof text, "%lld:%02lld", whole / 60, whole % 60);
        return text;
    }

    std::string title_;
    std::int64_t total_, first_;
    bool terminal_;
    Clock::time_point start_ = Clock::now();
    double told_ = 0.0;
};

}  // namespace roars::program
