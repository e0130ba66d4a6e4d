#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "roars/error.hpp"

namespace roars {

/// Lists of tokens that end a generation.
class StopSequences {
public:
    using Tokens = std::span<const std::int32_t>;

    StopSequences() = default;
    /// Errors: an empty list, which would stop everything at once.
    explicit StopSequences(std::vector<std::vector<std::int32_t>> stops) : stops_(std::move(stops)) {
        for (std::size_t i = 0; i < stops_.size(); ++i)
            expect(!stops_[i].empty(),
                   [&] { return "stop sequence " + std::to_string(i) + " is empty, expected a token or more"; });
    }

    bool empty() const { return stops_.empty(); }

    /// How many tokens at the end of `generated` are the longest stop sequence it ends with; 0 if it ends with none. To
    /// be asked after each token.
    std::size_t ending(Tokens generated) const {
        std::size_t longest = 0;
        for (const auto& stop : stops_)
            if (stop.size() <= generated.size() &&
                std::equal(stop.begin(), stop.end(), generated.end() - static_cast<std::ptrdiff_t>(stop.size())))
                longest = std::max(longest, stop.size());
        return longest;
    }

    /// `generated` up to where it should have stopped: the end of the stop sequence that is complete first, that
    /// sequence included. The whole of it where none occurs.
    Tokens cut(Tokens generated) const {
        for (std::size_t length = 1; length <= generated.size(); ++length)
            if (ending(generated.first(length)) > 0) return generated.first(length);
        return generated;
    }

private:
    std::vector<std::vector<std::int32_t>> stops_;
};

}  // namespace roars
