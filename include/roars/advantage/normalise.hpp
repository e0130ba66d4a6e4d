#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/everywhere.hpp"
#include "roars/primitives/broadcast.hpp"
#include "roars/primitives/segmented_reduce.hpp"

namespace roars {

/// One normaliser for the rewards of sequences: A_i = (r_i - center_i) / scale_i, for every token of sequence i. Where
/// the mean and the spread are taken are two template arguments, each with the settings that matter to it. GRPO, RLOO,
/// Dr. GRPO, REINFORCE, OPO, GPG and Lite PPO are typedefs of it.
///
/// What a center and a scale see of sequence i. One that needs more of the batch than moments has bind(run, batch),
/// which is called once a batch, on any backend; what it returns keeps what was found, and its reader() is asked.
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
    struct Reader {
        const double* mean;
        const std::int64_t* length;  ///< of a group
        ROARS_FN double operator()(const NormaliserView& x) const { return mean[x.owner]; }
        ROARS_FN bool degenerate(const NormaliserView& x) const { return x.group.equal || length[x.owner] == 0; }
    };
    template <class X>
    struct OfGroup {
        X x;
        double* mean;
        std::int64_t* length;
        ROARS_FN void operator()(std::int64_t g) const {
            double sum = 0.0;
            std::int64_t all = 0;
            for (std::int64_t i = x[col::groups{}][g]; i < x[col::groups{}][g + 1]; ++i) {
                const std::int64_t own = x.of(i).length;
                if (own > 0) sum += static_cast<double>(own) * static_cast<double>(x[col::reward{}][i]);
                all += own;
            }
            mean[g] = all > 0 ? sum / static_cast<double>(all) : 0.0;
            length[g] = all;
        }
    };
    template <class RunType, class BatchType>
    class Bound {
    public:
        Bound(RunType& run, const BatchType& batch)
            : mean_(run.backend, batch.groups()), length_(run.backend, batch.groups()) {
            with_summaries<columns<col::groups, col::reward>>(run, batch, NoSummary{}, [&]<class X>(const X& x) {
                roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.groups(),
                                                               OfGroup<X>{x, mean_.data(), length_.data()});
            });
        }
        Reader reader() { return {mean_.data(), length_.data()}; }

    private:
        roars::detail::ScratchOf<double, RunType> mean_;
        roars::detail::ScratchOf<std::int64_t, RunType> length_;
    };
    template <class RunType, BatchWith<col::groups, col::reward> BatchType>
    Bound<RunType, BatchType> bind(RunType& run, const BatchType& batch) const {
        return {run, batch};
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

    struct Reader {
        double eps;
        int ddof;
        const Moments* others;  ///< of the group without sequence i
        ROARS_FN double operator()(const NormaliserView& x) const {
            const Moments& m = others[x.sequence];
            return m.equal ? 1.0 : m.spread(ddof) + eps;
        }
    };
    /// From both ends: what stands before i, and what stands behind it, combined; nothing is subtracted.
    template <class X>
    struct OfGroup {
        X x;
        Moments* others;
        ROARS_FN Moments only(std::int64_t i) const { return {1, static_cast<double>(x[col::reward{}][i]), 0.0, true}; }
        ROARS_FN void operator()(std::int64_t g) const {
            const std::int64_t begin = x[col::groups{}][g], end = x[col::groups{}][g + 1];
            Moments before{}, behind{};
            for (std::int64_t i = begin; i < end; ++i) {
                others[i] = before;
                before = combine(before, only(i));
            }
            for (std::int64_t i = end; i-- > begin;) {
                others[i] = combine(others[i], behind);
                behind = combine(only(i), behind);
            }
        }
    };
    template <class RunType, class BatchType>
    class Bound {
    public:
        Bound(double eps, int ddof, RunType& run, const BatchType& batch)
            : eps_(eps), ddof_(ddof), others_(run.backend, batch.sequences()) {
            auto x = view_of<columns<col::groups, col::reward>>(run, batch);
            roars::detail::EverywhereOf<RunType>::for_each(run.backend, batch.groups(),
                                                           OfGroup<decltype(x)>{x, others_.data()});
        }
        Reader reader() { return {eps_, ddof_, others_.data()}; }

    private:
        double eps_;
        int ddof_;
        roars::detail::ScratchOf<Moments, RunType> others_;
    };
    template <class RunType, BatchWith<col::groups, col::reward> BatchType>
    Bound<RunType, BatchType> bind(RunType& run, const BatchType& batch) const {
        return {eps, ddof, run, batch};
    }
};
/// norm max(1, sequences of the batch with a reward other than 0) / sequences: where few answers score, those count
/// more. Source: GPG, arXiv 2504.02546.
struct InformativeShare {
    double norm = 1.0;

    struct Reader {
        double norm;
        std::int64_t sequences;
        const std::int64_t* scored;
        ROARS_FN double operator()(const NormaliserView&) const {
            return norm * static_cast<double>(*scored > 1 ? *scored : 1) /
                   static_cast<double>(sequences > 1 ? sequences : 1);
        }
    };
    template <class X>
    struct Scored {
        X x;
        ROARS_FN std::int64_t operator()(std::int64_t i) const { return x[col::reward{}][i] != 0 ? 1 : 0; }
    };
    template <class RunType, class BatchType>
    class Bound {
    public:
        Bound(double norm, RunType& run, const BatchType& batch)
            : norm_(norm), sequences_(batch.sequences()), scored_(run.backend, 1) {
            using Here = roars::detail::EverywhereOf<RunType>;
            auto x = view_of<columns<col::reward>>(run, batch);
            Here::clear(run.backend, scored_.data(), 1);
            Here::add(run.backend, sequences_, Scored<decltype(x)>{x}, *scored_.data());
        }
        Reader reader() { return {norm_, sequences_, scored_.data()}; }

    private:
        double norm_;
        std::int64_t sequences_;
        roars::detail::ScratchOf<std::int64_t, RunType> scored_;
    };
    template <class RunType, BatchWith<col::reward> BatchType>
    Bound<RunType, BatchType> bind(RunType& run, const BatchType& batch) const {
        return {norm, run, batch};
    }
};

ROARS_FIELDS(None)
ROARS_FIELDS(GroupSpread, eps, ddof)
ROARS_FIELDS(BatchSpread, eps, ddof)
ROARS_FIELDS(OthersSpread, eps, ddof)
ROARS_FIELDS(InformativeShare, norm)
}  // namespace scale

namespace detail {
/// A center or a scale with what it knows of this batch, in the backend's memory, and what it is asked through.
template <class Statistic, class RunType, class BatchType>
auto bound_to(const Statistic& statistic, RunType& run, const BatchType& batch) {
    if constexpr (requires { statistic.bind(run, batch); })
        return statistic.bind(run, batch);
    else
        return statistic;
}
template <class Bound>
auto reader_of(Bound& bound) {
    if constexpr (requires { bound.reader(); })
        return bound.reader();
    else
        return bound;
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

        auto bound_center = detail::bound_to(center, run, batch);
        auto bound_scale = detail::bound_to(scale, run, batch);
        auto from = detail::reader_of(bound_center);
        auto by = detail::reader_of(bound_scale);
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
