#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/optimizer/surrogates/sequence.hpp"
#include "roars/primitives/segmented_reduce.hpp"
#include "roars/regularizer/kl.hpp"

/// The engine that samples and the engine that trains never agree: x_t = logp_old - logp_behaviour. These parts make a
/// constant weight of it for surrogate::Weighted, or take tokens out of the mask. They run once, before the update, on
/// the whole batch, and so stand in the regularizer's slot: regularizer::Sum<correction::TruncatedToken, ...>.
/// w_t = e^{x_t}, x_t held within +-20; w_i = e^{sum_t x_t}, the sum over trainable tokens held within +-20. Masked
/// tokens get weight 0. Shapes: logp_old, logp_behaviour [tokens] -> importance_weight [tokens].
namespace roars::correction {

namespace detail {

/// x within +-20; a NaN stays what it is.
template <class V>
ROARS_FN V held(const V& x) {
    using Real = math::Scalar<V>;
    return math::select(x != x, x, math::clamp(x, V(Real(-20)), V(Real(20))));
}
/// x_t, and w_t.
using Difference = ColumnDifference<col::logp_old, col::logp_behaviour>;
template <class X>
ROARS_FN value_t<X> token_weight(const X& x) {
    return math::exp(held(Difference{}(x)));
}

}  // namespace detail

/// What is done with a weight.
namespace bound {
/// min(w, high)
struct Truncate {
    double high = 2.0;
    template <class V>
    ROARS_FN V operator()(const V& weight) const {
        const V most(static_cast<math::Scalar<V>>(high));
        return math::select(weight > most, most, weight);
    }
};
/// w where low <= w <= high, else 0: IcePop.
struct Band {
    double low = 0.5;
    double high = 5.0;
    template <class V>
    ROARS_FN V operator()(const V& weight) const {
        using Real = math::Scalar<V>;
        return math::select(weight >= V(Real(low)) && weight <= V(Real(high)), weight, V(Real(0)));
    }
};
ROARS_FIELDS(Truncate, high)
ROARS_FIELDS(Band, low, high)
}  // namespace bound

/// bound(w_t), token by token.
template <class Bound = bound::Truncate>
struct TokenWeight {
    Bound bound{};

    using needs = columns<col::logp_old, col::logp_behaviour>;
    using gives = columns<col::importance_weight>;
    static constexpr bool everywhere = true;

    struct OfToken {
        Bound bound;
        template <class X>
        ROARS_FN value_t<X> operator()(const X& x) const {
            return bound(detail::token_weight(x));
        }
        ROARS_FN OfToken operator()(const SequenceSum&) const { return *this; }
    };
    template <class RunType, BatchWith<col::logp_old, col::logp_behaviour, col::importance_weight> BatchType>
    void shape(RunType& run, BatchType& batch) const {
        map_by_sequence<col::importance_weight, needs>(run, batch, NoSummary{}, OfToken{bound});
    }
};
template <class Bound>
ROARS_FIELDS_OF((TokenWeight<Bound>), bound)

/// bound(w_i) for all tokens of a sequence.
template <class Bound = bound::Truncate>
struct SequenceWeight {
    Bound bound{};

    using needs = columns<col::logp_old, col::logp_behaviour>;
    using gives = columns<col::importance_weight>;
    static constexpr bool everywhere = true;

    struct OfSequence {
        Bound bound;
        struct Constant {
            double weight;
            template <class X>
            ROARS_FN value_t<X> operator()(const X&) const {
                return value_t<X>(static_cast<math::Scalar<value_t<X>>>(weight));
            }
        };
        ROARS_FN Constant operator()(const SequenceSum& x) const { return {bound(std::exp(detail::held(x.sum)))}; }
    };
    template <class RunType, BatchWith<col::logp_old, col::logp_behaviour, col::importance_weight> BatchType>
    void shape(RunType& run, BatchType& batch) const {
        map_by_sequence<col::importance_weight, columns<>>(run, batch, detail::Difference{}, OfSequence{bound});
    }
};
template <class Bound>
ROARS_FIELDS_OF((SequenceWeight<Bound>), bound)

/// min(w_t, high), and 0 for a whole sequence whose geometric mean e^{mean_t x_t} is outside [low, high].
struct GeometricMask {
    double low = 0.5;
    double high = 2.0;

    using needs = columns<col::logp_old, col::logp_behaviour>;
    using gives = columns<col::importance_weight>;
    static constexpr bool everywhere = true;

    struct Held : detail::Difference {
        template <class X>
        ROARS_FN value_t<X> operator()(const X& x) const {
            return detail::held(detail::Difference::operator()(x));
        }
    };
    struct OfSequence {
        double low, high;
        struct OfToken {
            bool within;
            bound::Truncate truncate;
            template <class X>
            ROARS_FN value_t<X> operator()(const X& x) const {
                using V = value_t<X>;
                return within ? truncate(detail::token_weight(x)) : V(math::Scalar<V>(0));
            }
        };
        ROARS_FN OfToken operator()(const SequenceSum& x) const {
            double geometric = std::exp(x.mean());
            return {low <= geometric && geometric <= high, {high}};
        }
    };
    template <class RunType, BatchWith<col::logp_old, col::logp_behaviour, col::importance_weight> BatchType>
    void shape(RunType& run, BatchType& batch) const {
        map_by_sequence<col::importance_weight, needs>(run, batch, Held{}, OfSequence{low, high});
    }
};
ROARS_FIELDS(GeometricMask, low, high)

/// min(w_t, high) divided by its mean over the batch's trainable tokens; left alone where that mean is 1e-8 or less.
struct Normalised {
    double high = 2.0;

    using needs = columns<col::logp_old, col::logp_behaviour>;
    using gives = columns<col::importance_weight>;
    static constexpr bool everywhere = true;

    struct Truncated {
        using needs = Normalised::needs;
        bound::Truncate truncate;
        template <class X>
        ROARS_FN value_t<X> operator()(const X& x) const {
            return truncate(detail::token_weight(x));
        }
    };
    struct ByMean {
        Truncated weight;
        const SequenceSum* all;
        struct OfToken {
            Truncated weight;
            double scale;
            template <class X>
            ROARS_FN value_t<X> operator()(const X& x) const {
                return weight(x) * value_t<X>(static_cast<math::Scalar<value_t<X>>>(scale));
            }
        };
        ROARS_FN OfToken operator()(const SequenceSum&) const {
            double mean = all->mean();
            return {weight, mean > 1e-8 ? 1.0 / mean : 1.0};
        }
    };
    template <class RunType, BatchWith<col::logp_old, col::logp_behaviour, col::importance_weight> BatchType>
    void shape(RunType& run, BatchType& batch) const {
        Truncated weight{{high}};
        roars::detail::ScratchOf<SequenceSum, RunType> all(run.backend, 1);
        sum_of_all(run, batch, weight, all.data());
        map_by_sequence<col::importance_weight, needs>(run, batch, NoSummary{}, ByMean{weight, all.data()});
    }
};
ROARS_FIELDS(Normalised, high)

/// (sum w)^2 / (n sum w^2) over the trainable tokens: 1 for equal weights, 1 / n for a single one that counts; 0 where
/// there is no weight.
template <class RunType, BatchWith<col::importance_weight> BatchType>
double effective_sample_size(RunType& run, const BatchType& batch) {
    auto sum_of = [&](auto&& value) {
        std::vector<double> sums = sequence_sums(run.backend, batch, columns<col::importance_weight>{}, value);
        return total(run.backend, std::span<const double>(sums));
    };
    double sum = sum_of([](const auto& x) { return x[col::importance_weight{}]; });
    double squares = sum_of([](const auto& x) { return x[col::importance_weight{}] * x[col::importance_weight{}]; });
    std::int64_t tokens = count(run.backend, batch).tokens;
    return squares > 0.0 ? sum * sum / (double(tokens) * squares) : 0.0;
}

/// What a sequence's divergence is made of that of its trainable tokens. Where there are none it does not matter.
namespace over {
/// Each token for itself.
struct Token {};
struct Sum {
    ROARS_FN static double of(const SequenceSum& x) { return x.sum; }
};
struct Mean {
    ROARS_FN static double of(const SequenceSum& x) { return x.mean(); }
};
struct Largest {};
}  // namespace over

/// Which divergences are let pass. d = logp_behaviour - logp_old held within +-20 samples KL(behaviour || trainer).
namespace within {
struct Limits {
    double low, high;
    ROARS_FN bool hold(double k) const { return low <= k && k <= high; }
};
/// ln low <= d <= ln high.
struct K1 {
    double low = 0.5;
    double high = 2.0;
    template <class V>
    ROARS_FN V divergence(const V& d) const {
        return d;
    }
    Limits limits() const { return {std::log(low), std::log(high)}; }
};
/// d^2 / 2 <= high.
struct K2 {
    double high = 0.1;
    template <class V>
    ROARS_FN V divergence(const V& d) const {
        return kl::K2::of(d).value;
    }
    Limits limits() const { return {-std::numeric_limits<double>::infinity(), high}; }
};
/// e^{-d} - 1 + d <= high.
struct K3 {
    double high = 0.1;
    template <class V>
    ROARS_FN V divergence(const V& d) const {
        return kl::K3::unbounded(d);
    }
    Limits limits() const { return {-std::numeric_limits<double>::infinity(), high}; }
};
ROARS_FIELDS(K1, low, high)
ROARS_FIELDS(K2, high)
ROARS_FIELDS(K3, high)
}  // namespace within

/// Takes out of the mask what has diverged too far: tokens (over::Token), or whole sequences by the sum, the mean or
/// the largest of their tokens' divergence. Everything after it counts only what is left.
template <class Over = over::Token, class Within = within::K1>
struct Reject {
    Within within{};

    using needs = columns<col::mask, col::logp_old, col::logp_behaviour>;
    using gives = columns<col::mask>;

    static constexpr bool everywhere = true;

    using Read = detail::Difference::needs;
    struct Divergence {
        using needs = Read;
        Within within;
        within::Limits limits;
        template <class X>
        ROARS_FN value_t<X> operator()(const X& x) const {
            return within.divergence(detail::held(value_t<X>(x[col::logp_behaviour{}] - x[col::logp_old{}])));
        }
    };
    template <class X>
    struct OfToken {
        Divergence divergence;
        X x;
        ROARS_FN double at(std::int64_t i, std::int64_t t) const { return double(divergence(x.token(Read{}, i, t))); }
        ROARS_FN void operator()(std::int64_t i, std::int64_t t) const {
            if (!x.trainable(t)) return;
            double k;
            if constexpr (std::is_same_v<Over, over::Token>)
                k = at(i, t);
            else
                k = Over::of(x.of(i));
            if (!divergence.limits.hold(k)) x[col::mask{}][t] = 0;
        }
    };
    /// A thread walks a sequence.
    template <class X>
    struct ByLargest {
        OfToken<X> token;
        ROARS_FN void operator()(std::int64_t i) const {
            const X& x = token.x;
            double largest = -std::numeric_limits<double>::infinity();
            for (std::int64_t t = x.token_offsets[i]; t < x.token_offsets[i + 1]; ++t)
                if (x.trainable(t)) largest = math::max(largest, token.at(i, t));
            if (token.divergence.limits.hold(largest)) return;
            for (std::int64_t t = x.token_offsets[i]; t < x.token_offsets[i + 1]; ++t) x[col::mask{}][t] = 0;
        }
    };
    template <class RunType, BatchWith<col::mask, col::logp_old, col::logp_behaviour> BatchType>
    void shape(RunType& run, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        Divergence divergence{within, within.limits()};
        if constexpr (std::is_same_v<Over, over::Token>) {
            auto x = view_of<needs>(run, batch);
            Here::for_each_token(run.backend, batch, OfToken<decltype(x)>{divergence, x});
        } else if constexpr (std::is_same_v<Over, over::Largest>) {
            auto x = view_of<needs>(run, batch);
            Here::for_each(run.backend, batch.sequences(), ByLargest<decltype(x)>{{divergence, x}});
        } else {
            with_summaries<needs>(run, batch, divergence, [&]<class X>(const X& x) {
                Here::for_each_token(run.backend, batch, OfToken<X>{divergence, x});
            });
        }
    }
};
template <class Over, class Within>
ROARS_FIELDS_OF((Reject<Over, Within>), within)

using TruncatedToken = TokenWeight<bound::Truncate>;
using TruncatedSequence = SequenceWeight<bound::Truncate>;
using IcePop = TokenWeight<bound::Band>;
using IcePopSequence = SequenceWeight<bound::Band>;

}  // namespace roars::correction
