#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/broadcast.hpp"
#include "roars/primitives/segmented_reduce.hpp"

namespace roars {

/// One normaliser for the rewards of sequences: A_i = (r_i - center_i) / scale_i, for every token of sequence i. Where
/// the mean and the spread are taken are two template arguments, each with the settings that matter to it. GRPO, RLOO,
/// Dr. GRPO, REINFORCE, OPO, GPG and Lite PPO are typedefs of it.
///
/// What a center and a scale see of sequence i. One that needs more of the batch than moments has bind(run, batch),
/// which is called once a batch and returns what is asked in its place.
struct NormaliserView {
    double reward;              ///< r_i
    const Moments& group;       ///< of the rewards of its group
    const Moments& batch;       ///< of all rewards of the batch
    std::int64_t sequence = 0;  ///< i
    std::int64_t owner = 0;     ///< its group
};

namespace center {

struct None {
    ROARS_FN double operator()(const NormaliserView&) const { return 0.0; }
    ROARS_FN bool degenerate(const NormaliserView&) const { return false; }
};
/// A number: REINFORCE with a constant baseline.
struct Constant {
    double value = 0.0;
    ROARS_FN double operator()(const NormaliserView&) const { return value; }
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

/// mean_g, but 0 for a group of one, which keeps its raw reward.
struct GroupMeanUnlessAlone {
    ROARS_FN double operator()(const NormaliserView& x) const { return x.group.count > 1 ? x.group.mean : 0.0; }
    ROARS_FN bool degenerate(const NormaliserView& x) const { return x.group.count > 1 && x.group.equal; }
};
/// sum_j L_j r_j / sum_j L_j over the group, L = trainable tokens: the baseline of least variance where a sequence's
/// gradient grows with its length. A group without a trainable token gets 0. Source: OPO, arXiv 2505.23585.
struct LengthWeightedMean {
    struct Bound {
        std::vector<double> mean;
        std::vector<std::int64_t> length;  ///< of a group
        double operator()(const NormaliserView& x) const { return mean[static_cast<std::size_t>(x.owner)]; }
        bool degenerate(const NormaliserView& x) const {
            return x.group.equal || length[static_cast<std::size_t>(x.owner)] == 0;
        }
    };

    template <class RunType, BatchWith<col::groups, col::reward> BatchType>
    Bound bind(RunType& run, const BatchType& batch) const {
        auto lengths = detail::trainable_lengths<col::mask>(run.backend, batch);
        auto groups = static_cast<std::size_t>(batch.groups());
        Bound bound{std::vector<double>(groups), std::vector<std::int64_t>(groups)};
        segmented_sum(run.backend, batch[col::groups{}], std::span<const std::int64_t>(lengths),
                      std::span(bound.length));
        segmented_sum(
            run.backend, batch[col::groups{}],
            [&](std::int64_t i) {
                auto at = static_cast<std::size_t>(i);
                return lengths[at] ? double(lengths[at]) * double(batch[col::reward{}][at]) : 0.0;
            },
            std::span(bound.mean));
        for (std::size_t g = 0; g < groups; ++g)
            if (bound.length[g]) bound.mean[g] /= double(bound.length[g]);
        return bound;
    }
};

ROARS_FIELDS(None)
ROARS_FIELDS(Constant, value)
ROARS_FIELDS(GroupMean)
ROARS_FIELDS(OthersMean)
ROARS_FIELDS(BatchMean)
ROARS_FIELDS(GroupMeanUnlessAlone)
ROARS_FIELDS(LengthWeightedMean)
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

/// std of the other members of the group + eps, and 1 where they are equal or only one. Source: NeMo-RL's
/// leave-one-out.
struct OthersSpread {
    double eps = 1e-6;
    int ddof = 1;

    struct Bound {
        double eps;
        int ddof;
        std::vector<Moments> others;  ///< of the group without sequence i
        double operator()(const NormaliserView& x) const {
            const Moments& m = others[static_cast<std::size_t>(x.sequence)];
            return m.equal ? 1.0 : m.spread(ddof) + eps;
        }
    };

    /// From both ends: what stands before i, and what stands behind it, combined; nothing is subtracted.
    template <class RunType, BatchWith<col::groups, col::reward> BatchType>
    Bound bind(RunType& run, const BatchType& batch) const {
        Bound bound{eps, ddof, std::vector<Moments>(static_cast<std::size_t>(batch.sequences()))};
        auto groups = batch[col::groups{}];
        auto reward = batch[col::reward{}];
        parallel_for(run.backend, batch.groups(), [&](std::int64_t g) {
            auto begin = static_cast<std::size_t>(groups[std::size_t(g)]);
            auto end = static_cast<std::size_t>(groups[std::size_t(g) + 1]);
            Moments before, behind;
            for (std::size_t i = begin; i < end; ++i) {
                bound.others[i] = before;
                before = combine(before, {1, double(reward[i]), 0.0, true});
            }
            for (std::size_t i = end; i-- > begin;) {
                bound.others[i] = combine(bound.others[i], behind);
                behind = combine({1, double(reward[i]), 0.0, true}, behind);
            }
        });
        return bound;
    }
};
/// norm max(1, sequences of the batch with a reward other than 0) / sequences: where few answers score, those count
/// more. Source: GPG, arXiv 2504.02546.
struct InformativeShare {
    double norm = 1.0;

    struct Bound {
        double scale;
        double operator()(const NormaliserView&) const { return scale; }
    };
    template <class RunType, BatchWith<col::reward> BatchType>
    Bound bind(RunType& run, const BatchType& batch) const {
        const std::int64_t all[] = {0, batch.sequences()};
        std::int64_t scored = 0;
        segmented_count(run.backend, Offsets(all), std::span(batch[col::reward{}]), std::span(&scored, 1));
        return {norm * double(std::max<std::int64_t>(scored, 1)) /
                double(std::max<std::int64_t>(batch.sequences(), 1))};
    }
};

ROARS_FIELDS(None)
ROARS_FIELDS(GroupSpread, eps, ddof)
ROARS_FIELDS(BatchSpread, eps, ddof)
ROARS_FIELDS(OthersSpread, eps, ddof)
ROARS_FIELDS(InformativeShare, norm)
}  // namespace scale

namespace detail {
/// A center or a scale, ready to be asked about this batch.
template <class Statistic, class RunType, class BatchType>
auto bound_to(const Statistic& statistic, RunType& run, const BatchType& batch) {
    if constexpr (requires { statistic.bind(run, batch); })
        return statistic.bind(run, batch);
    else
        return statistic;
}
}  // namespace detail

namespace advantage {

/// A_i = (r_i - center) / scale for every token of sequence i. Exactly 0 where the center's scope has one member or
/// equal rewards. Shapes: reward [sequences] -> advantage [tokens].
template <class Center, class Scale>
struct Normalise {
    Center center{};
    Scale scale{};

    using needs = unite_t<columns<col::groups, col::reward>, needs_of<Center>, needs_of<Scale>>;
    using gives = columns<col::advantage>;

    template <class RunType, BatchWith<col::groups, col::reward, col::advantage> BatchType>
    void estimate(RunType& run, BatchType& batch) const {
        using Real = typename BatchType::Real;
        std::span<const Real> reward = batch[col::reward{}];
        std::vector<Moments> groups(static_cast<std::size_t>(batch.groups())), whole(1);
        const std::int64_t all[] = {0, batch.sequences()};
        segmented_moments(run.backend, batch[col::groups{}], reward, std::span(groups));
        segmented_moments(run.backend, Offsets(all), reward, std::span(whole));

        auto from = detail::bound_to(center, run, batch);
        auto by = detail::bound_to(scale, run, batch);
        std::vector<Real> signal(reward.size());
        segmented_transform(run.backend, batch[col::groups{}], std::span(signal),
                            [&](std::int64_t group, std::int64_t i) {
                                double own = double(reward[static_cast<std::size_t>(i)]);
                                NormaliserView view{own, groups[static_cast<std::size_t>(group)], whole[0], i, group};
                                return from.degenerate(view) ? 0.0 : (own - from(view)) / by(view);
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
/// REINFORCE with a constant baseline.
using ConstantBaseline = Normalise<center::Constant, scale::None>;
/// REINFORCE with the mean of the batch as baseline.
using BatchBaseline = Normalise<center::BatchMean, scale::None>;
/// Lite PPO, arXiv 2508.08221: group mean, batch spread.
using GroupMeanBatchSpread = Normalise<center::GroupMean, scale::BatchSpread>;
/// The mean of the others and their spread (NeMo-RL).
using LeaveOneOutZScore = Normalise<center::OthersMean, scale::OthersSpread>;
/// OPO, arXiv 2505.23585.
using LengthWeightedBaseline = Normalise<center::LengthWeightedMean, scale::None>;
/// GPG, arXiv 2504.02546.
using ScaledMeanBaseline = Normalise<center::GroupMeanUnlessAlone, scale::InformativeShare>;

}  // namespace advantage
}  // namespace roars
