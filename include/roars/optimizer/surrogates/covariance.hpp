#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <limits>
#include <numeric>
#include <type_traits>
#include <vector>

#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/covariance_lists.hpp"
#include "roars/optimizer/surrogates/gathered.hpp"
#include "roars/optimizer/surrogates/smallest_keys.hpp"
#include "roars/optimizer/surrogates/token_covariance.hpp"
#include "roars/optimizer/surrogates/token_marks.hpp"
#include "roars/optimizer/surrogates/wrapper.hpp"
#include "roars/primitives/kept_memory.hpp"
#include "roars/primitives/segments.hpp"
#include "roars/random.hpp"

/// Entropy falls where log-probability and advantage go together: cov_t = (A_t - mean A)(sg(logp_t) - mean logp), means
/// over the trainable tokens of the whole batch. Source: arXiv 2505.22617.
namespace roars {

namespace draw {

/// A sequence that numbers are drawn for: where it begins in its batch (on a device: in its micro-batch), and a
/// fingerprint of its old log-probabilities.
struct Sequence {
    std::int64_t begin;
    std::uint32_t print;
};

/// A uniform number of each token, from its place in its sequence and a fingerprint of the sequence's old
/// log-probabilities: the same in whatever order and cut the sequences come.
struct BySequence {
    using needs = columns<col::logp_old>;
    static constexpr bool everywhere = true;
    ROARS_FN double operator()(const Random& random, const Sequence& sequence, std::int64_t place) const {
        // Enough for two numbers.
        auto word = random.bits(sequence.print, static_cast<std::uint32_t>(place - place % 2));
        return place % 2 == 0 ? Random::to_unit<double>(word[0], word[1]) : Random::to_unit<double>(word[2], word[3]);
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

    static constexpr bool everywhere = runs_everywhere<Draw>;
    template <class B>
    using SumsIn = detail::CovarianceSums<B, col::advantage, col::logp, col::logp_old>;
    using Sums = SumsIn<backend::Host>;
    using Reads = typename Sums::Columns;

    template <class RunType, class BatchType, class SumsType>
    void add_sums(RunType& run, BatchType& batch, SumsType& to) const {
        to.add(*this, run, batch);
    }
    /// On the host.
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        using Real = typename BatchType::Real;
        Random random = run.random.of(Purpose::resample);
        detail::Covariance covariance;
        detail::SmallestKeys dropped;
        sums.read([&](const auto& all) {
            covariance = {run.backend, all};
            dropped = smallest_draws(run.backend, random, covariance, all);
        });
        auto x = detail::numbers_of(batch, Reads{});
        Real* keep = batch[col::keep{}].data();
        std::fill(keep, keep + batch.tokens(), Real(1));
        parallel_for(run.backend, batch.sequences(), [&](std::int64_t i) {
            detail::TokenMarks marks(x);
            auto wanted = [&](double key) { return dropped.takes(key) || dropped.asks(key); };
            for_each_draw(random, covariance, x, i, wanted, [&](std::int64_t t, double key) {
                keep[t] = static_cast<Real>(written(dropped.takes(key) ? 1.0 : dropped.share(marks(i, t))));
            });
        });
    }

    // On a device.
    template <class RunType, class BatchType, class B>
    void prepare(RunType& run, BatchType& batch, const detail::CovarianceLists<B>& sums) const {
        sums.write_shares(*this, run, batch, view_of<gives>(run, batch)[col::keep{}]);
    }
    /// The draw of token t of sequence i, whose old log-probabilities have this print; NaN where it is clipped already.
    template <class Numbers>
    ROARS_FN double drawn(const Random& random, const Numbers& x, std::uint64_t print, std::int64_t i,
                          std::int64_t t) const {
        if (!x.counts(t) || is_clipped(x, t)) return none;
        return draw(random, sequence_of(x, print, i), t - detail::begin_of(x, i));
    }
    ROARS_FN double key(double covariance, double number) const { return is_between(covariance) != 0 ? number : none; }
    ROARS_FN static double written(double share) { return 1.0 - share; }

    template <class X>
    ROARS_FN auto token(const X& x) const {
        return detail::scaled(clip().token(x), x[col::keep{}], x[col::keep{}]);
    }

private:
    static constexpr double none = std::numeric_limits<double>::quiet_NaN();
    ROARS_FN Clip clip() const { return {.low = low, .high = high}; }
    template <class Numbers>
    ROARS_FN bool is_clipped(const Numbers& x, std::int64_t t) const {
        Token<double, needs_of<Clip>> token{{double(x(1, t))}, {double(x(2, t))}, {double(x(0, t))}};
        return clip().token(token).metric[1] != 0.0;
    }
    ROARS_FN int is_between(double cov) const { return int(cov_low < cov) & int(cov < cov_high); }
    template <class Numbers>
    ROARS_FN static draw::Sequence sequence_of(const Numbers& x, std::uint64_t print, std::int64_t i) {
        return {detail::begin_of(x, i), static_cast<std::uint32_t>(print)};
    }

    /// use(t, draw) for the tokens of sequence i that may be dropped and whose draws are wanted.
    template <class Numbers, class Wanted, class Use>
    void for_each_draw(const Random& random, const detail::Covariance& covariance, const Numbers& x, std::int64_t i,
                       const Wanted& wanted, Use&& use) const {
        if (between(covariance, x, i) == 0) return;
        std::int64_t begin = detail::begin_of(x, i), end = detail::begin_of(x, i + 1);
        draw::Sequence sequence = sequence_of(x, detail::sequence_print<2>(x, i), i);
        for (std::int64_t t = begin; t < end; ++t) {
            if (!x.counts(t) || is_between(covariance(x, t)) == 0) continue;
            double key = draw(random, sequence, t - begin);
            if (wanted(key) && !is_clipped(x, t)) use(t, key);
        }
    }
    template <class Numbers>
    std::int64_t between(const detail::Covariance& covariance, const Numbers& x, std::int64_t i) const {
        std::int64_t begin = detail::begin_of(x, i), end = detail::begin_of(x, i + 1), count = 0;
        for (std::int64_t t = begin; t < end; ++t) count += is_between(covariance(x, t)) & int(x.counts(t));
        return count;
    }
    template <class Numbers>
    detail::SmallestKeys smallest_draws(backend::Host& backend, const Random& random,
                                        const detail::Covariance& covariance, const Numbers& x) const {
        std::vector<std::int64_t> first(static_cast<std::size_t>(x.sequences()) + 1, 0);
        parallel_for(backend, x.sequences(),
                     [&](std::int64_t i) { first[static_cast<std::size_t>(i) + 1] = between(covariance, x, i); });
        std::partial_sum(first.begin(), first.end(), first.begin());
        KeptVector<double> draws(static_cast<std::size_t>(first.back()), none);
        KeptVector<std::int64_t> token(draws.size());
        parallel_for(backend, x.sequences(), [&](std::int64_t i) {
            auto place = static_cast<std::size_t>(first[static_cast<std::size_t>(i)]);
            for_each_draw(
                random, covariance, x, i, [](double) { return true; },
                [&](std::int64_t t, double key) {
                    token[place] = t;
                    draws[place++] = key;
                });
        });
        detail::TokenMarks marks(x);
        return {backend, std::ssize(draws), [at = draws.data()](std::int64_t j) { return at[j]; },
                [&](std::int64_t j) {
                    auto i = std::upper_bound(first.begin(), first.end(), j) - first.begin() - 1;
                    return marks(i, token[static_cast<std::size_t>(j)]);
                },
                [&](std::int64_t) { return detail::share(fraction, covariance.tokens); }};
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

    static constexpr bool everywhere = true;
    template <class B>
    using SumsIn = detail::CovarianceSums<B, col::advantage, col::logp>;
    using Sums = SumsIn<backend::Host>;
    using Reads = typename Sums::Columns;

    template <class RunType, class BatchType, class SumsType>
    void add_sums(RunType& run, BatchType& batch, SumsType& to) const {
        to.add(*this, run, batch);
    }
    /// On the host.
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        using Real = typename BatchType::Real;
        detail::Covariance covariance;
        detail::SmallestKeys largest;
        sums.read([&](const auto& all) {
            covariance = {run.backend, all};
            detail::TokenMarks marks(all);
            largest = {run.backend, all.tokens(), [=](std::int64_t t) { return key(covariance(all, t)); },
                       [&](std::int64_t t) {
                           auto i = std::upper_bound(all.offsets.begin(), all.offsets.end(), t) - all.offsets.begin();
                           return marks(i - 1, t);
                       },
                       [&](std::int64_t count) { return detail::share(fraction, count); }};
        });
        auto x = detail::numbers_of(batch, Reads{});
        Real* penalised = batch[col::penalised{}].data();
        parallel_for(run.backend, batch.sequences(), [&](std::int64_t i) {
            std::int64_t begin = detail::begin_of(x, i), end = detail::begin_of(x, i + 1), asking = 0;
            // Numbers and not truths: no branch stands in the way of lanes.
            auto takes = [&](std::int64_t t) { return int(largest.takes(key(covariance(x, t)))) & int(x.counts(t)); };
            auto asks = [&](std::int64_t t) { return int(largest.asks(key(covariance(x, t)))) & int(x.counts(t)); };
            for (std::int64_t t = begin; t < end; ++t) penalised[t] = takes(t) != 0 ? Real(1) : Real(0);
            for (std::int64_t t = begin; t < end; ++t) asking += asks(t);
            detail::TokenMarks marks(x);
            for (std::int64_t t = begin; asking > 0 && t < end; ++t)
                if (asks(t) != 0) penalised[t] = static_cast<Real>(largest.share(marks(i, t)));
        });
    }

    // On a device.
    template <class RunType, class BatchType, class B>
    void prepare(RunType& run, BatchType& batch, const detail::CovarianceLists<B>& sums) const {
        sums.write_shares(*this, run, batch, view_of<gives>(run, batch)[col::penalised{}]);
    }
    ROARS_FN static double key(double covariance) { return -covariance; }
    ROARS_FN static double written(double share) { return share; }

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
