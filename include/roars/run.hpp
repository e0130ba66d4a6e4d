#pragma once

#include <cstdint>

#include "roars/backend.hpp"
#include "roars/random.hpp"

namespace roars {

/// How far a run has come: iteration n of total.
struct Progress {
    std::int64_t iteration = 0;
    std::int64_t total = 1;
    double fraction() const { return total > 0 ? double(iteration) / double(total) : 0.0; }
};

/// What every stage of every part is handed: where to compute, where random numbers come from, how far the run is.
template <Backend B>
struct Run {
    using backend_type = B;
    B& backend;
    Random random{};
    Progress progress{};
};
template <Backend B>
Run(B&) -> Run<B>;
template <Backend B>
Run(B&, Random) -> Run<B>;
template <Backend B>
Run(B&, Random, Progress) -> Run<B>;

}  // namespace roars
