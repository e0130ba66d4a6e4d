#pragma once

#include <cstdint>

#include "roars/concepts.hpp"

namespace roars::reward {

/// One number of the scores of a sequence's turns (its steps). Shapes: score [turns of the sequence], one or more.
namespace over {
struct Minimum {
    template <class Real>
    ROARS_FN static double of(const Real* score, std::int64_t turns) {
        double least = double(score[0]);
        for (std::int64_t k = 1; k < turns; ++k) least = math::min(least, double(score[k]));
        return least;
    }
};
struct Product {
    template <class Real>
    ROARS_FN static double of(const Real* score, std::int64_t turns) {
        double product = 1.0;
        for (std::int64_t k = 0; k < turns; ++k) product *= double(score[k]);
        return product;
    }
};
struct Mean {
    template <class Real>
    ROARS_FN static double of(const Real* score, std::int64_t turns) {
        double sum = 0.0;
        for (std::int64_t k = 0; k < turns; ++k) sum += double(score[k]);
        return sum / double(turns);
    }
};
struct Last {
    template <class Real>
    ROARS_FN static double of(const Real* score, std::int64_t turns) {
        return double(score[turns - 1]);
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

    static constexpr bool everywhere = true;

    template <class X>
    struct OfSequence {
        Over over;
        X x;
        ROARS_FN void operator()(std::int64_t i) const {
            const std::int64_t first = x[col::turn_owner{}][i], last = x[col::turn_owner{}][i + 1];
            x[col::reward{}][i] = static_cast<typename X::Real>(
                last > first ? over.of(x[col::turn_outcome{}] + first, last - first) : 0.0);
        }
    };
    template <class RunType, BatchWith<col::turns, col::turn_owner, col::turn_outcome, col::reward> BatchType>
    void score(RunType& run, BatchType& batch) const {
        auto x = view_of<columns<col::turn_owner, col::turn_outcome, col::reward>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.sequences(),
                                                       OfSequence<decltype(x)>{over, x});
    }
};
template <class Over>
ROARS_FIELDS_OF((OverTurns<Over>), over)

}  // namespace roars::reward
