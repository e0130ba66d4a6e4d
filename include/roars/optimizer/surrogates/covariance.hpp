#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <limits>
#include <unordered_map>
#include <vector>

#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/sequence.hpp"
#include "roars/optimizer/surrogates/wrapper.hpp"
#include "roars/primitives/segmented_reduce.hpp"
#include "roars/primitives/sort.hpp"

/// Entropy falls where log-probability and advantage go together: cov_t = (A_t - mean A)(sg(logp_t) - mean logp), means
/// over the trainable tokens of the whole batch. Source: arXiv 2505.22617.
namespace roars {
namespace detail {

/// The finaliser of MurmurHash3: every bit of the result depends on every bit of x.
inline std::uint64_t mixed(std::uint64_t x) {
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdull;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ull;
    return x ^ (x >> 33);
}

/// A number of what the trainable tokens of sequence i hold in these columns, and of where. A sum over the tokens, so
/// that none waits for the one before.
template <class BatchType, class... Column>
std::uint64_t sequence_print(const BatchType& batch, std::size_t i, columns<Column...>) {
    auto begin = static_cast<std::size_t>(batch.token_offsets()[i]),
         end = static_cast<std::size_t>(batch.token_offsets()[i + 1]);
    std::uint64_t all = end - begin;
    for (std::size_t t = begin; t < end; ++t) {
        std::uint64_t own = (t - begin) * 0x9e3779b97f4a7c15ull;
        ((own = own * 0xd6e8feb86659fd93ull + std::bit_cast<std::uint64_t>(double(batch[Column{}][t]))), ...);
        own = mixed(own);
        all += trainable<col::mask>(batch, std::int64_t(t)) ? own : 0;
    }
    return all;
}

/// A number that goes with a token into whatever micro-batch: of its place in its sequence and of all that the
/// sequence's trainable tokens hold. Only the tokens of equal sequences have equal marks. Shapes: [tokens].
template <class BatchType>
std::vector<std::uint64_t> token_marks(backend::Host& backend, const BatchType& batch) {
    std::vector<std::uint64_t> marks(static_cast<std::size_t>(batch.tokens()));
    Offsets offsets = batch.token_offsets();
    parallel_for(backend, batch.sequences(), [&](std::int64_t sequence) {
        auto i = static_cast<std::size_t>(sequence);
        auto begin = static_cast<std::size_t>(offsets[i]), end = static_cast<std::size_t>(offsets[i + 1]);
        std::uint64_t all = sequence_print(batch, i, columns<col::logp, col::logp_old, col::advantage>{});
        for (std::size_t t = begin; t < end; ++t) marks[t] = mixed(all + (t - begin) * 0x9e3779b97f4a7c15ull);
    });
    return marks;
}

/// The `count` smallest of all keys, of equal ones the first: which tokens of a micro-batch are among them. The tokens
/// of equal sequences cannot be told apart: if some of them are taken, each is taken in that share.
class SmallestKeys {
public:
    SmallestKeys(const std::vector<double>& keys, const std::vector<std::uint64_t>& marks, std::int64_t count) {
        count = std::min<std::int64_t>(count, std::ssize(keys));
        if (count <= 0) return;
        std::vector<double> sorted = keys;
        std::nth_element(sorted.begin(), sorted.begin() + (count - 1), sorted.end(), Ascending{});
        limit_ = sorted[static_cast<std::size_t>(count - 1)];
        std::int64_t ties = count - std::count_if(keys.begin(), keys.end(), [&](double key) { return key < limit_; });
        for (std::size_t j = 0; j < keys.size(); ++j)
            if (keys[j] == limit_) {
                auto& [taken, all] = tied_[marks[j]];
                ++all;
                if (ties-- > 0) ++taken;
            }
    }
    /// 1 for a token that is taken, 0 for one that is not.
    double share(double key, std::uint64_t mark) const {
        if (key != limit_) return key < limit_ ? 1.0 : 0.0;
        auto found = tied_.find(mark);
        return found == tied_.end() ? 0.0 : double(found->second.taken) / double(found->second.all);
    }

private:
    struct Tied {
        std::int64_t taken = 0, all = 0;
    };
    double limit_ = -std::numeric_limits<double>::infinity();
    std::unordered_map<std::uint64_t, Tied> tied_;
};

/// A, logp and mark of the trainable tokens, one after another.
struct CovarianceSums {
    std::vector<double> advantage, logp;
    std::vector<std::uint64_t> mark;
    CovarianceSums& operator+=(const CovarianceSums& other) {
        append(advantage, other.advantage);
        append(logp, other.logp);
        append(mark, other.mark);
        return *this;
    }
};

template <class BatchType>
CovarianceSums covariance_sums(backend::Host& backend, const BatchType& batch) {
    CovarianceSums sums;
    std::vector<std::uint64_t> marks = token_marks(backend, batch);
    for_each_trainable(
        backend, batch,
        [&](std::size_t all) {
            sums.advantage.resize(all);
            sums.logp.resize(all);
            sums.mark.resize(all);
        },
        [&](std::size_t t, std::size_t place) {
            sums.advantage[place] = double(batch[col::advantage{}][t]);
            sums.logp[place] = double(batch[col::logp{}][t]);
            sums.mark[place] = marks[t];
        });
    return sums;
}

class Covariance {
public:
    template <class BackendType>
    Covariance(BackendType& backend, const CovarianceSums& sums)
        : advantage_(moments(backend, std::span(sums.advantage)).mean),
          logp_(moments(backend, std::span(sums.logp)).mean) {}
    double operator()(double advantage, double logp) const { return (advantage - advantage_) * (logp - logp_); }

private:
    double advantage_, logp_;
};

}  // namespace detail

namespace draw {

/// A uniform number of each token, from its place in its sequence and a fingerprint of the sequence's old
/// log-probabilities: the same in whatever order and cut the sequences come.
struct BySequence {
    using needs = columns<col::logp_old>;

    template <class RunType, class BatchType>
    std::vector<double> operator()(RunType& run, const BatchType& batch) const {
        std::vector<double> uniform(static_cast<std::size_t>(batch.tokens()));
        Random random = run.random.of(Purpose::resample);
        Offsets offsets = batch.token_offsets();
        parallel_for(run.backend, batch.sequences(), [&](std::int64_t sequence) {
            auto i = static_cast<std::size_t>(sequence);
            std::int64_t begin = offsets[i], end = offsets[i + 1];
            auto print = static_cast<std::uint32_t>(detail::sequence_print(batch, i, columns<col::logp_old>{}));
            for (std::int64_t t = begin; t < end; t += 2) {
                auto word = random.bits(print, static_cast<std::uint32_t>(t - begin));  // enough for two numbers
                uniform[std::size_t(t)] = Random::to_unit<double>(word[0], word[1]);
                if (t + 1 < end) uniform[std::size_t(t) + 1] = Random::to_unit<double>(word[2], word[3]);
            }
        });
        return uniform;
    }
};
ROARS_FIELDS(BySequence)

}  // namespace draw

namespace surrogate {

/// The clipped surrogate without some tokens of large covariance (loss 0, still counted in the mean): of those not
/// clipped already and with cov_low < cov_t < cov_high, the max(1, floor(fraction T)) with the smallest draws (of equal
/// ones the first), T trainable tokens. kept_fraction: tokens that stay.
template <class Draw = draw::BySequence>
struct ClipCov {
    double low = 0.2;
    double high = 0.2;
    double fraction = 2e-4;
    double cov_low = 1.0;
    double cov_high = 5.0;
    Draw draw{};

    static constexpr std::string_view name = Clip::name;
    using needs = unite_t<needs_of<Clip>, columns<col::keep>>;
    using gives = columns<col::keep>;
    using prepare_needs = unite_t<needs_of<Clip>, needs_of<Draw>>;
    using differentiates = Clip::differentiates;
    static constexpr auto metrics = detail::with_name(Clip::metrics, "kept_fraction");

    struct Sums {
        detail::CovarianceSums covariance;
        std::vector<double> draw;  ///< +inf where the token is clipped
        Sums& operator+=(const Sums& other) {
            covariance += other.covariance;
            detail::append(draw, other.draw);
            return *this;
        }
    };

    template <class RunType, class BatchType>
    Sums reduce(RunType& run, BatchType& batch) const {
        Sums sums{detail::covariance_sums(run.backend, batch), {}};
        std::vector<double> draws = this->draws(run, batch);
        detail::for_each_trainable(
            run.backend, batch, [&](std::size_t all) { sums.draw.resize(all); },
            [&](std::size_t t, std::size_t place) { sums.draw[place] = draws[t]; });
        return sums;
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        using Real = typename BatchType::Real;
        detail::Covariance covariance(run.backend, sums.covariance);
        auto eligible = [&](double advantage, double logp, double draw_) {
            double cov = covariance(advantage, logp);
            return draw_ < std::numeric_limits<double>::infinity() && cov_low < cov && cov < cov_high;
        };
        std::vector<double> keys;
        std::vector<std::uint64_t> key_marks;
        for (std::size_t j = 0; j < sums.draw.size(); ++j)
            if (eligible(sums.covariance.advantage[j], sums.covariance.logp[j], sums.draw[j])) {
                keys.push_back(sums.draw[j]);
                key_marks.push_back(sums.covariance.mark[j]);
            }
        detail::SmallestKeys dropped(keys, key_marks, detail::share(fraction, std::ssize(sums.draw)));

        std::vector<double> draws = this->draws(run, batch);
        std::vector<std::uint64_t> marks = detail::token_marks(run.backend, batch);
        auto keep = batch[col::keep{}];
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t t) {
            auto at = static_cast<std::size_t>(t);
            bool may_drop = detail::trainable<col::mask>(batch, t) &&
                            eligible(double(batch[col::advantage{}][at]), double(batch[col::logp{}][at]), draws[at]);
            keep[at] = static_cast<Real>(may_drop ? 1.0 - dropped.share(draws[at], marks[at]) : 1.0);
        });
    }
    template <class X>
    ROARS_FN auto token(const X& x) const {
        return detail::scaled(clip().token(x), x[col::keep{}], x[col::keep{}]);
    }

private:
    ROARS_FN Clip clip() const { return {.low = low, .high = high}; }

    /// The draw of every token, +inf where it is clipped or not trainable.
    template <class RunType, class BatchType>
    std::vector<double> draws(RunType& run, const BatchType& batch) const {
        std::vector<double> draws = draw(run, batch);
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t t) {
            auto at = static_cast<std::size_t>(t);
            Token<double, needs_of<Clip>> x{{double(batch[col::logp{}][at])},
                                            {double(batch[col::logp_old{}][at])},
                                            {double(batch[col::advantage{}][at])}};
            if (!detail::trainable<col::mask>(batch, t) || clip().token(x).metric[1] != 0.0)
                draws[at] = std::numeric_limits<double>::infinity();
        });
        return draws;
    }
};
template <class Draw>
ROARS_FIELDS_OF((ClipCov<Draw>), low, high, fraction, cov_low, cov_high)

/// -A r, plus coefficient |logp - logp_old| for the max(1, floor(fraction T)) trainable tokens of largest covariance
/// (of equal ones the first); the derivative of |x| at 0 is 0. The ratio is held, the penalty is not: it pulls a token
/// back from however far away.
struct KlCov {
    double fraction = 2e-4;
    double coefficient = 1.0;

    static constexpr std::string_view name = "policy_loss";
    using needs = columns<col::logp, col::logp_old, col::advantage, col::penalised>;
    using gives = columns<col::penalised>;
    using prepare_needs = columns<col::logp, col::logp_old, col::advantage>;
    using differentiates = columns<col::logp>;
    static constexpr std::array<std::string_view, 3> metrics{"ratio", "penalised_fraction", "approx_kl"};
    using Sums = detail::CovarianceSums;

    template <class RunType, class BatchType>
    Sums reduce(RunType& run, BatchType& batch) const {
        return detail::covariance_sums(run.backend, batch);
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        using Real = typename BatchType::Real;
        detail::Covariance covariance(run.backend, sums);
        std::vector<double> keys(sums.logp.size());
        for (std::size_t j = 0; j < keys.size(); ++j) keys[j] = -covariance(sums.advantage[j], sums.logp[j]);
        detail::SmallestKeys largest(keys, sums.mark, detail::share(fraction, std::ssize(keys)));
        std::vector<std::uint64_t> marks = detail::token_marks(run.backend, batch);
        auto penalised = batch[col::penalised{}];
        parallel_for(run.backend, batch.tokens(), [&](std::int64_t t) {
            auto at = static_cast<std::size_t>(t);
            double key = -covariance(double(batch[col::advantage{}][at]), double(batch[col::logp{}][at]));
            penalised[at] =
                static_cast<Real>(detail::trainable<col::mask>(batch, t) ? largest.share(key, marks[at]) : 0.0);
        });
    }
    template <class X>
    ROARS_FN Loss<value_t<X>, 1, 3> token(const X& x) const {
        using V = value_t<X>;
        using Real = math::Scalar<V>;
        const V zero(Real(0)), one(Real(1));
        auto [l, inside] = log_ratio<V>(x[col::logp{}], x[col::logp_old{}]);
        V ratio = math::exp(l);
        V plain = -x[col::advantage{}] * ratio;
        V scale = x[col::penalised{}] * V(Real(coefficient));
        V moved = x[col::logp{}] - x[col::logp_old{}];
        V sign = math::select(moved > zero, one, math::select(moved < zero, -one, zero));
        return {plain + scale * math::abs(moved), {plain * inside + scale * sign}, {ratio, x[col::penalised{}], -l}};
    }
};
ROARS_FIELDS(KlCov, fraction, coefficient)

}  // namespace surrogate
}  // namespace roars
