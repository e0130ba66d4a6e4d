#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/broadcast.hpp"
#include "roars/primitives/segmented_reduce.hpp"

namespace roars {

/// One normaliser for the rewards of sequences: A_i = (r_i - center_i) / scale_i, for every token of sequence i. Where
/// the mean and the spread are taken are two template arguments, each with the settings that matter to it. GRPO, RLOO,
/// Dr. GRPO, REINFORCE and Lite PPO are typedefs of it.
///
/// What a center and a scale see of sequence i.
struct NormaliserView {
    double reward;          ///< r_i
    const Moments& group;   ///< of the rewards of its group
    const Moments& batch;   ///< of all rewards of the batch
};

namespace center {

struct None {
    ROARS_FN double operator()(const NormaliserView&) const { return 0.0; }
    ROARS_FN bool degenerate(const NormaliserView&) const { return false; }
};
/// mean_g. A group of one, or of equal rewards, leaves exactly 0.
struct GroupMean {
    ROARS_FN double operator()(const NormaliserView& x) const { return x.group.mean; }
    ROARS_FN bool degenerate(const NormaliserView& x) const { return x.group.equal; }
};
/// Mean of the other members of the group: r_i - mean_{j != i} r_j = (r_i - mean_g) n / (n - 1). RLOO.
struct OthersMean {
    ROARS_FN double operator()(const NormaliserView& x) const {
        double n = static_cast<double>(x.group.count);
        return x.group.count > 1 ? (n * x.group.mean - x.reward) / (n - 1.0) : x.reward;
    }
    ROARS_FN bool degenerate(const NormaliserView& x) const { return x.group.equal; }
};
/// Mean of the batch.
struct BatchMean {
    ROARS_FN double operator()(const NormaliserView& x) const { return x.batch.mean; }
    ROARS_FN bool degenerate(const NormaliserView& x) const { return x.batch.equal; }
};

ROARS_FIELDS(None)
ROARS_FIELDS(GroupMean)
ROARS_FIELDS(OthersMean)
ROARS_FIELDS(BatchMean)
}  // namespace center

namespace scale {

struct None {
    ROARS_FN double operator()(const NormaliserView&) const { return 1.0; }
};
/// std_g + eps: eps is added to the standard deviation; ddof 1 = sample, 0 = population.
struct GroupSpread {
    double eps = 1e-6;
    int ddof = 1;
    ROARS_FN double operator()(const NormaliserView& x) const { return x.group.spread(ddof) + eps; }
};
/// std of all raw rewards of the batch + eps: differences between prompts enter it. Lite PPO, arXiv 2508.08221.
struct BatchSpread {
    double eps = 1e-6;
    int ddof = 1;
    ROARS_FN double operator()(const NormaliserView& x) const { return x.batch.spread(ddof) + eps; }
};

ROARS_FIELDS(None)
ROARS_FIELDS(GroupSpread, eps, ddof)
ROARS_FIELDS(BatchSpread, eps, ddof)
}  // namespace scale

namespace advantage {

/// A_i = (r_i - center) / scale for every token of sequence i. Exactly 0 where the center's scope has one member or
/// equal rewards. Shapes: reward [sequences] -> advantage [tokens].
template <class Center, class Scale>
struct Normalise {
    Center center{};
    Scale scale{};

    using needs = columns<col::groups, col::reward>;
    using gives = columns<col::advantage>;

    template <class RunType, BatchWith<col::groups, col::reward, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        std::span<const Real> reward = batch[col::reward{}];
        std::vector<Moments> groups(static_cast<std::size_t>(batch.groups())), whole(1);
        const std::int64_t all[] = {0, batch.sequences()};
        segmented_moments(run.backend, batch[col::groups{}], reward, std::span(groups));
        segmented_moments(run.backend, Offsets(all), reward, std::span(whole));

        std::vector<Real> signal(reward.size());
        segmented_transform(run.backend, batch[col::groups{}], std::span(signal), [&](std::int64_t group, std::int64_t i) {
            double own = double(reward[static_cast<std::size_t>(i)]);
            NormaliserView view{own, groups[static_cast<std::size_t>(group)], whole[0]};
            return center.degenerate(view) ? 0.0 : (own - center(view)) / scale(view);
        });
        segmented_broadcast(run.backend, batch.token_offsets(), std::span<const Real>(signal), batch[col::advantage{}]);
    }
};
template <class Center, class Scale>
ROARS_FIELDS_OF((Normalise<Center, Scale>), center, scale)

/// GRPO, arXiv 2402.03300: group mean, group spread.
using GroupZScore = Normalise<center::GroupMean, scale::GroupSpread>;
/// Dr. GRPO, arXiv 2503.20783: group mean, no spread.
using GroupMean = Normalise<center::GroupMean, scale::None>;
/// RLOO, arXiv 2402.14740: mean of the others, no spread.
using LeaveOneOut = Normalise<center::OthersMean, scale::None>;
/// REINFORCE with the mean of the batch as baseline.
using BatchBaseline = Normalise<center::BatchMean, scale::None>;

}  // namespace advantage
}  // namespace roars
