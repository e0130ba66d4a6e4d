#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/backend.hpp"
#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/primitives/segments.hpp"

namespace roars::critic {

/// Rows of a replay memory that look n steps ahead, so that their target can be formed later, by whatever critic there
/// is then: reward + discount V(state at next).
struct NStepRow {
    double reward = 0.0;    ///< sum_{i < k} gamma^i r_{t + i}
    std::int64_t next = 0;  ///< t + k, whose state follows; the number of rows behind the last one
    double discount = 0.0;  ///< gamma^k, 0 where the last row taken terminated
    bool whole = true;      ///< false: the stream was cut before n rows, and not by its episode
};

/// Rows of one stream in time order, k = min(n, rows up to and including the next one that terminated or was
/// truncated). A truncation ends the window and keeps its bootstrap. critic::NStep gives the targets of a batch at
/// once. Shapes: reward, terminated, truncated [rows]. Source: ResFiT, arXiv 2509.19301.
struct NStepRows {
    double gamma = 0.99;
    std::int64_t n = 3;

    template <class Real>
    std::vector<NStepRow> of(backend::Host& backend, std::span<const Real> reward, std::span<const Real> terminated,
                             std::span<const Real> truncated) const {
        expect(n >= 1, [&] { return "n-step rows: n is " + std::to_string(n) + ", expected 1 or more"; });
        std::int64_t rows = std::ssize(reward);
        roars::detail::expect_size("terminated", terminated.size(), rows);
        roars::detail::expect_size("truncated", truncated.size(), rows);
        std::vector<NStepRow> found(reward.size());
        parallel_for(backend, rows, [&](std::int64_t t) {
            NStepRow row;
            double factor = 1.0;
            bool ends = false, done = false;
            std::int64_t i = t;
            for (; i < rows && i - t < n && !done; ++i) {
                auto at = static_cast<std::size_t>(i);
                row.reward += factor * double(reward[at]);
                factor *= gamma;
                ends = terminated[at] != Real(0);
                done = ends || truncated[at] != Real(0);
            }
            row.next = i;
            row.discount = ends ? 0.0 : factor;
            row.whole = done || i - t == n;
            found[static_cast<std::size_t>(t)] = row;
        });
        return found;
    }
};
ROARS_FIELDS(NStepRows, gamma, n)

}  // namespace roars::critic
