#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/error.hpp"
#include "roars/fields.hpp"

namespace roars::sampler {

/// Which rows of two memories make a batch: first those of the online one, then of the offline one.
struct TwoSourceRows {
    std::int64_t online = 0;          ///< how many of the batch are online rows
    std::vector<std::int64_t> index;  ///< of each row in its own memory
};

/// floor(batch_size offline_fraction) rows of a batch come from the offline memory, the rest from the online one, each
/// uniformly with replacement. Source: RLPD, arXiv 2302.02948; ResFiT, arXiv 2509.19301.
struct TwoSources {
    std::int64_t batch_size = 256;
    double offline_fraction = 0.5;

    std::int64_t offline_rows() const {
        return static_cast<std::int64_t>(std::floor(double(batch_size) * offline_fraction));
    }
    /// One uniform number in [0, 1) a row. Errors: a fraction outside [0, 1]; rows asked of an empty memory.
    TwoSourceRows draw(std::int64_t online_size, std::int64_t offline_size, std::span<const double> uniform) const {
        expect(offline_fraction >= 0.0 && offline_fraction <= 1.0, [&] {
            return "two sources: offline_fraction is " + std::to_string(offline_fraction) +
                   ", expected a number in [0, 1]";
        });
        expect(std::ssize(uniform) == batch_size, [&] {
            return "two sources: " + std::to_string(uniform.size()) + " random numbers, expected one for each of " +
                   std::to_string(batch_size) + " rows";
        });
        TwoSourceRows rows{batch_size - offline_rows(), {}};
        for (std::int64_t i = 0; i < batch_size; ++i) {
            std::int64_t size = i < rows.online ? online_size : offline_size;
            expect(size > 0, [&] {
                return std::string("two sources: the ") + (i < rows.online ? "online" : "offline") +
                       " memory is empty, expected a row or more";
            });
            auto place = static_cast<std::int64_t>(uniform[std::size_t(i)] * double(size));
            rows.index.push_back(std::min(place, size - 1));
        }
        return rows;
    }
};
ROARS_FIELDS(TwoSources, batch_size, offline_fraction)

}  // namespace roars::sampler
