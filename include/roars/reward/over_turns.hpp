#pragma once

#include <algorithm>
#include <cstdint>
#include <span>

#include "roars/concepts.hpp"

namespace roars::reward {

/// One number of the scores of a sequence's turns (its steps). Shapes: score [turns of the sequence], one or more.
namespace over {
struct Minimum {
    template <class Real>
    static double of(std::span<Real> score) {
        return double(*std::min_element(score.begin(), score.end()));
    }
};
struct Product {
    template <class Real>
    static double of(std::span<Real> score) {
        double product = 1.0;
        for (Real each : score) product *= double(each);
        return product;
    }
};
struct Mean {
    template <class Real>
    static double of(std::span<Real> score) {
        double sum = 0.0;
        for (Real each : score) sum += double(each);
        return sum / double(score.size());
    }
};
struct Last {
    template <class Real>
    static double of(std::span<Real> score) {
        return double(score.back());
    }
};
ROARS_FIELDS(Minimum)
ROARS_FIELDS(Product)
ROARS_FIELDS(Mean)
ROARS_FIELDS(Last)
}  // namespace over

/// The scores of a process reward model as the reward of the whole answer; 0 for a sequence without turns. Shapes:
/// turn_outcome [turns] -> reward [sequences]. Sources: arXiv 2305.20050 (product), 2312.08935 (minimum).
template <class Over = over::Minimum>
struct OverTurns {
    Over over{};

    using needs = columns<col::turns, col::turn_owner, col::turn_outcome>;
    using gives = columns<col::reward>;

    template <class RunType, BatchWith<col::turns, col::turn_owner, col::turn_outcome, col::reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        Offsets owner = batch[col::turn_owner{}];
        std::span<const Real> scores = batch[col::turn_outcome{}];
        parallel_for(run.backend, batch.sequences(), [&](std::int64_t sequence) {
            auto i = static_cast<std::size_t>(sequence);
            auto own =
                scores.subspan(static_cast<std::size_t>(owner[i]), static_cast<std::size_t>(owner[i + 1] - owner[i]));
            batch[col::reward{}][i] = own.empty() ? Real(0) : static_cast<Real>(over.of(own));
        });
    }
};
template <class Over>
ROARS_FIELDS_OF((OverTurns<Over>), over)

}  // namespace roars::reward
