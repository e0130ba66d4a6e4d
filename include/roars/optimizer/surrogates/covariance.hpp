#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <utility>
#include <vector>

#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/gathered.hpp"
#include "roars/optimizer/surrogates/wrapper.hpp"
#include "roars/primitives/kept_memory.hpp"
#include "roars/primitives/ranking.hpp"
#include "roars/primitives/segments.hpp"
#include "roars/random.hpp"

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

/// A number of what the tokens of sequence i that count hold in the columns k of x, and of where. A sum over the
/// tokens, so that none waits for the one before.
template <std::size_t... k, class Numbers>
std::uint64_t sequence_print(const Numbers& x, std::int64_t i) {
    std::int64_t begin = begin_of(x, i), end = begin_of(x, i + 1);
    std::uint64_t all = static_cast<std::uint64_t>(end - begin);
    for (std::int64_t t = begin; t < end; ++t) {
        std::uint64_t own = static_cast<std::uint64_t>(t - begin) * 0x9e3779b97f4a7c15ull;
        ((own = own * 0xd6e8feb86659fd93ull + std::bit_cast<std::uint64_t>(double(x(k, t)))), ...);
        own = mixed(own);
        all += x.counts(t) ? own : 0;
    }
    return all;
}

/// Numbers that go with a token into whatever micro-batch: of its place in its sequence and of all that the tokens of
/// the sequence that count hold. Only the tokens of equal sequences have equal marks.
template <class Numbers>
class TokenMarks {
public:
    explicit TokenMarks(const Numbers& x) : x_(x) {}
    std::uint64_t operator()(std::int64_t i, std::int64_t t) {
        if (i != sequence_) print_ = print(i, std::make_index_sequence<Numbers::width>{});
        sequence_ = i;
        return mixed(print_ + static_cast<std::uint64_t>(t - begin_of(x_, i)) * 0x9e3779b97f4a7c15ull);
    }

private:
    template <std::size_t... k>
    std::uint64_t print(std::int64_t i, std::index_sequence<k...>) const {
        return sequence_print<k...>(x_, i);
    }
    Numbers x_;
    std::int64_t sequence_ = -1;
    std::uint64_t print_ = 0;
};

/// The `count` smallest of all keys, of equal ones the first: which tokens of a micro-batch are among them. The tokens
/// of equal sequences cannot be told apart: if some of them are taken, each is taken in that share. A key that is NaN
/// is none.
class SmallestKeys {
public:
    SmallestKeys() = default;
    /// share(number of keys) of key(j) for j in [0, keys); mark(j) is asked in order, and only where keys are equal.
    template <class Key, class Mark, class Share>
    SmallestKeys(backend::Host& backend, std::int64_t keys, const Key& key, Mark&& mark, const Share& share) {
        Ranking ranking(backend, keys, key);
        std::int64_t count = std::min(share(ranking.size()), ranking.size());
        if (count <= 0) return;
        Ranked last = ranking.at(count - 1);
        std::int64_t ties = count - last.below;
        if (ties == last.equal) {
            taken_below_ = std::nextafter(last.value, std::numeric_limits<double>::infinity());
            return;
        }
        taken_below_ = tie_ = last.value;
        for (std::int64_t j = 0; j < keys; ++j)
            if (key(j) == tie_) {
                auto& [taken, all] = tied_[mark(j)];
                ++all;
                if (ties-- > 0) ++taken;
            }
    }
    /// Whether a key is taken whatever its mark; and whether its mark decides.
    bool takes(double key) const { return key < taken_below_; }
    bool asks(double key) const { return key == tie_; }
    /// In what share a token is whose mark decides.
    double share(std::uint64_t mark) const {
        auto found = tied_.find(mark);
        return found == tied_.end() ? 0.0 : double(found->second.taken) / double(found->second.all);
    }

private:
    struct Tied {
        std::int64_t taken = 0, all = 0;
    };
    double taken_below_ = -std::numeric_limits<double>::infinity();
    double tie_ = std::numeric_limits<double>::quiet_NaN();  ///< the key of which not all are taken
    std::unordered_map<std::uint64_t, Tied> tied_;
};

/// The mean of some numbers around one of them, so that equal numbers have exactly their value.
struct Mean {
    std::int64_t count = 0;
    double first = 0.0, shift = 0.0;
    double value() const { return first + shift; }
    Mean& operator+=(const Mean& other) {
        if (count == 0) return *this = other;
        if (other.count == 0) return *this;
        count += other.count;
        shift += ((other.first - first) + (other.shift - shift)) * (double(other.count) / double(count));
        return *this;
    }
};
/// That of column k of x, of the tokens that count; in an order that depends on the number of tokens alone.
template <class Numbers>
Mean mean_of(backend::Host& backend, const Numbers& x, std::size_t k) {
    KeptVector<Mean> of_piece(static_cast<std::size_t>((x.tokens() + backend.grain - 1) / backend.grain));
    parallel_pieces(backend, x.tokens(), [&](std::int64_t piece, std::int64_t begin, std::int64_t end) {
        Mean& mean = of_piece[static_cast<std::size_t>(piece)] = {};
        while (begin < end && !x.counts(begin)) ++begin;
        if (begin == end) return;
        const double first = double(x(k, begin));
        double sum = 0.0;
        std::int64_t count = 0;
        std::array<double, 512> shifted;
        for (std::int64_t t = begin; t < end; t += std::ssize(shifted)) {
            const std::int64_t used = std::min(std::ssize(shifted), end - t);
            for (std::int64_t j = 0; j < used; ++j) {
                double shift = double(x(k, t + j)) - first;
                count += shift == shift ? 1 : 0;
                shifted[std::size_t(j)] = shift == shift ? shift : 0.0;
            }
            sum += sum_over<double>(0, used, [&](std::int64_t j) { return shifted[std::size_t(j)]; });
        }
        mean = {count, first, sum / double(count)};
    });
    Mean mean;
    for (const Mean& each : of_piece) mean += each;
    return mean;
}

/// cov_t of columns 0, the advantage, and 1, logp.
struct Covariance {
    std::int64_t tokens = 0;
    double advantage = 0.0, logp = 0.0;  ///< their means

    Covariance() = default;
    template <class Numbers>
    Covariance(backend::Host& backend, const Numbers& x) {
        Mean first = mean_of(backend, x, 0);
        tokens = first.count;
        advantage = first.value();
        logp = mean_of(backend, x, 1).value();
    }
    template <class Numbers>
    double operator()(const Numbers& x, std::int64_t t) const {
        return (double(x(0, t)) - advantage) * (double(x(1, t)) - logp);
    }
};

}  // namespace detail

namespace draw {

/// A sequence that numbers are drawn for: where it begins in its batch, and a fingerprint of its old log-probabilities.
struct Sequence {
    std::int64_t begin;
    std::uint32_t print;
};

/// A uniform number of each token, from its place in its sequence and a fingerprint of the sequence's old
/// log-probabilities: the same in whatever order and cut the sequences come.
struct BySequence {
    using needs = columns<col::logp_old>;
    double operator()(const Random& random, const Sequence& sequence, std::int64_t place) const {
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

    using Sums = detail::Gathered<col::advantage, col::logp, col::logp_old>;

    template <class RunType, class BatchType>
    Sums reduce(RunType& run, BatchType& batch) const {
        return {run.backend, batch};
    }
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
        auto x = detail::numbers_of(batch, columns<col::advantage, col::logp, col::logp_old>{});
        Real* keep = batch[col::keep{}].data();
        std::fill(keep, keep + batch.tokens(), Real(1));
        parallel_for(run.backend, batch.sequences(), [&](std::int64_t i) {
            detail::TokenMarks marks(x);
            auto wanted = [&](double key) { return dropped.takes(key) || dropped.asks(key); };
            for_each_draw(random, covariance, x, i, wanted, [&](std::int64_t t, double key) {
                keep[t] = dropped.takes(key) ? Real(0) : static_cast<Real>(1.0 - dropped.share(marks(i, t)));
            });
        });
    }
    template <class X>
    ROARS_FN auto token(const X& x) const {
        return detail::scaled(clip().token(x), x[col::keep{}], x[col::keep{}]);
    }

private:
    ROARS_FN Clip clip() const { return {.low = low, .high = high}; }

    /// use(t, draw) for the tokens of sequence i that may be dropped and whose draws are wanted.
    template <class Numbers, class Wanted, class Use>
    void for_each_draw(const Random& random, const detail::Covariance& covariance, const Numbers& x, std::int64_t i,
                       const Wanted& wanted, Use&& use) const {
        if (between(covariance, x, i) == 0) return;
        std::int64_t begin = detail::begin_of(x, i), end = detail::begin_of(x, i + 1);
        draw::Sequence sequence{begin, static_cast<std::uint32_t>(detail::sequence_print<2>(x, i))};
        for (std::int64_t t = begin; t < end; ++t) {
            if (!x.counts(t) || is_between(covariance(x, t)) == 0) continue;
            double key = draw(random, sequence, t - begin);
            if (!wanted(key)) continue;
            Token<double, needs_of<Clip>> token{{double(x(1, t))}, {double(x(2, t))}, {double(x(0, t))}};
            if (clip().token(token).metric[1] == 0.0) use(t, key);
        }
    }
    int is_between(double cov) const { return int(cov_low < cov) & int(cov < cov_high); }
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
        constexpr double none = std::numeric_limits<double>::quiet_NaN();
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
    using Sums = detail::Gathered<col::advantage, col::logp>;

    template <class RunType, class BatchType>
    Sums reduce(RunType& run, BatchType& batch) const {
        return {run.backend, batch};
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        using Real = typename BatchType::Real;
        detail::Covariance covariance;
        detail::SmallestKeys largest;
        sums.read([&](const auto& all) {
            covariance = {run.backend, all};
            detail::TokenMarks marks(all);
            largest = {run.backend, all.tokens(), [=](std::int64_t t) { return -covariance(all, t); },
                       [&](std::int64_t t) {
                           auto i = std::upper_bound(all.offsets.begin(), all.offsets.end(), t) - all.offsets.begin();
                           return marks(i - 1, t);
                       },
                       [&](std::int64_t count) { return detail::share(fraction, count); }};
        });
        auto x = detail::numbers_of(batch, columns<col::advantage, col::logp>{});
        Real* penalised = batch[col::penalised{}].data();
        parallel_for(run.backend, batch.sequences(), [&](std::int64_t i) {
            std::int64_t begin = detail::begin_of(x, i), end = detail::begin_of(x, i + 1), asking = 0;
            // Numbers and not truths: no branch stands in the way of lanes.
            auto takes = [&](std::int64_t t) { return int(largest.takes(-covariance(x, t))) & int(x.counts(t)); };
            auto asks = [&](std::int64_t t) { return int(largest.asks(-covariance(x, t))) & int(x.counts(t)); };
            for (std::int64_t t = begin; t < end; ++t) penalised[t] = takes(t) != 0 ? Real(1) : Real(0);
            for (std::int64_t t = begin; t < end; ++t) asking += asks(t);
            detail::TokenMarks marks(x);
            for (std::int64_t t = begin; asking > 0 && t < end; ++t)
                if (asks(t) != 0) penalised[t] = static_cast<Real>(largest.share(marks(i, t)));
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
