#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <unordered_map>
#include <vector>

#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/sequence.hpp"
#include "roars/optimizer/surrogates/wrapper.hpp"
#include "roars/primitives/sort.hpp"

/// Entropy falls where log-probability and advantage go together: cov_t = (A_t - mean A)(sg(logp_t) - mean logp), means
/// over the trainable tokens of the whole batch. Source: arXiv 2505.22617.
namespace roars {
namespace detail {

/// A number that goes with a token into whatever micro-batch: of its place in its sequence and of all that the
/// sequence's trainable tokens hold. Only the tokens of equal sequences have equal marks. Shapes: [tokens].
template <class BatchType>
std::vector<std::uint64_t> token_marks(backend::Host& backend, const BatchType& batch) {
    auto mixed = [](std::uint64_t mark, std::uint64_t bits) {  // the finaliser of MurmurHash3
        mark = (mark ^ bits) * 0xff51afd7ed558ccdull;
        mark = (mark ^ (mark >> 33)) * 0xc4ceb9fe1a85ec53ull;
        return mark ^ (mark >> 33);
    };
    std::vector<std::uint64_t> marks(static_cast<std::size_t>(batch.tokens()));
    Offsets offsets = batch.token_offsets();
    parallel_for(backend, batch.sequences(), [&](std::int64_t i) {
        auto begin = static_cast<std::size_t>(offsets[std::size_t(i)]),
             end = static_cast<std::size_t>(offsets[std::size_t(i) + 1]);
        std::uint64_t all = end - begin;
        auto add = [&](double value) {
            std::uint64_t bits;
            std::memcpy(&bits, &value, sizeof bits);
            all = mixed(all, bits);
        };
        for (std::size_t t = begin; t < end; ++t) {
            if (!trainable<col::mask>(batch, std::int64_t(t))) continue;
            add(double(t - begin));
            add(double(batch[col::logp{}][t]));
            add(double(batch[col::logp_old{}][t]));
            add(double(batch[col::advantage{}][t]));
        }
        for (std::size_t t = begin; t < end; ++t) marks[t] = mixed(all, t - begin);
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
    for (std::int64_t t = 0; t < batch.tokens(); ++t) {
        if (!trainable<col::mask>(batch, t)) continue;
        auto at = static_cast<std::size_t>(t);
        sums.advantage.push_back(double(batch[col::advantage{}][at]));
        sums.logp.push_back(double(batch[col::logp{}][at]));
        sums.mark.push_back(marks[at]);
    }
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
        auto logp_old = batch[col::logp_old{}];
        parallel_for(run.backend, batch.sequences(), [&](std::int64_t i) {
            std::int64_t begin = offsets[std::size_t(i)], end = offsets[std::size_t(i) + 1];
            std::uint32_t print = 2166136261u;
            for (std::int64_t t = begin; t < end; ++t) {
                float value =
                    detail::trainable<col::mask>(batch, t) ? static_cast<float>(logp_old[std::size_t(t)]) : 0.0f;
                std::uint32_t bits;
                std::memcpy(&bits, &value, sizeof bits);
                print = (print ^ bits) * 16777619u;
            }
            for (std::int64_t t = begin; t < end; ++t)
                uniform[std::size_t(t)] = random.uniform(print, static_cast<std::uint32_t>(t - begin));
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
        for (std::int64_t t = 0; t < batch.tokens(); ++t)
            if (detail::trainable<col::mask>(batch, t)) sums.draw.push_back(draws[static_cast<std::size_t>(t)]);
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
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            auto at = static_cast<std::size_t>(t);
            bool may_drop = detail::trainable<col::mask>(batch, t) &&
                            eligible(double(batch[col::advantage{}][at]), double(batch[col::logp{}][at]), draws[at]);
            keep[at] = static_cast<Real>(may_drop ? 1.0 - dropped.share(draws[at], marks[at]) : 1.0);
        }
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
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            auto at = static_cast<std::size_t>(t);
            Token<double, needs_of<Clip>> x{{double(batch[col::logp{}][at])},
                                            {double(batch[col::logp_old{}][at])},
                                            {double(batch[col::advantage{}][at])}};
            if (!detail::trainable<col::mask>(batch, t) || clip().token(x).metric[1] != 0.0)
                draws[at] = std::numeric_limits<double>::infinity();
        }
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
        for (std::int64_t t = 0; t < batch.tokens(); ++t) {
            auto at = static_cast<std::size_t>(t);
            double key = -covariance(double(batch[col::advantage{}][at]), double(batch[col::logp{}][at]));
            penalised[at] =
                static_cast<Real>(detail::trainable<col::mask>(batch, t) ? largest.share(key, marks[at]) : 0.0);
        }
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
