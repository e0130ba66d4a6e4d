#pragma once

#include <span>
#include <vector>

#include "roars/batch.hpp"
#include "roars/fields.hpp"
#include "roars/primitives/segmented_reduce.hpp"

/// Which groups are worth an update, told from the moments of their raw outcomes.
namespace roars::sampler {
namespace keep {

/// The outcomes differ: std (population) > spread. A group of one has none. Source: DAPO, arXiv 2503.14476, eq. 11.
struct Informative {
    double spread = 1e-6;
    ROARS_FN bool operator()(const Moments& outcome) const { return outcome.spread(0) > spread; }
};
/// The outcomes are not all equal, or there is only one. DLER, arXiv 2510.15110.
struct InformativeOrAlone {
    ROARS_FN bool operator()(const Moments& outcome) const { return outcome.count == 1 || !outcome.equal; }
};
/// Neither too easy nor too hard: lowest < mean outcome < highest.
struct Band {
    double lowest = 0.1;
    double highest = 0.95;
    ROARS_FN bool operator()(const Moments& outcome) const {
        return outcome.count > 0 && lowest < outcome.mean && outcome.mean < highest;
    }
};

ROARS_FIELDS(Informative, spread)
ROARS_FIELDS(InformativeOrAlone)
ROARS_FIELDS(Band, lowest, highest)

}  // namespace keep

/// 1 for each group that stays. Shapes: outcome [sequences] -> [groups].
template <class Keep, class Real>
std::vector<char> groups_to_keep(backend::Host& backend, Offsets groups, std::span<Real> outcome, const Keep& keep) {
    std::vector<Moments> moments(static_cast<std::size_t>(segment_count(groups)));
    segmented_moments(backend, groups, outcome, std::span(moments));
    std::vector<char> kept;
    for (const Moments& group : moments) kept.push_back(keep(group) ? 1 : 0);
    return kept;
}

}  // namespace roars::sampler
