#pragma once

#include <algorithm>
#include <cstdint>
#include <type_traits>

#include "roars/optimizer/surrogates/gathered.hpp"
#include "roars/optimizer/surrogates/sequence.hpp"
#include "roars/optimizer/surrogates/wrapper.hpp"
#include "roars/primitives/ranking.hpp"

/// Surrogates that leave out tokens of another one: their loss is 0, they still count in every mean.
namespace roars::surrogate {

/// The tokens of sequence i stay where A >= 0 or mean_t(logp_old - logp) <= threshold: what went wrong and is far from
/// the policy by now teaches nothing. DeepSeek-V3.2, arXiv 2512.02556. kept_fraction: tokens that stay.
template <TokenTerm Base>
struct OffPolicySequenceMask {
    Base base{};
    double threshold = 0.05;

    static constexpr std::string_view name = Base::name;
    using needs = unite_t<needs_of<Base>, columns<col::keep>>;
    using gives = unite_t<gives_of<Base>, columns<col::keep>>;
    using prepare_needs = unite_t<detail::prepare_needs_of<Base>, columns<col::logp, col::logp_old, col::advantage>>;
    using differentiates = typename Base::differentiates;
    static constexpr auto metrics = detail::with_name(metrics_of<Base>, "kept_fraction");
    using Sums = detail::sums_of_base<Base>;

    static constexpr bool everywhere = detail::base_runs_everywhere<Base>;

    /// What is kept of a sequence, by its mean log-ratio.
    struct Keep {
        double threshold;
        struct OfSequence {
            bool near;
            template <class X>
            ROARS_FN value_t<X> operator()(const X& x) const {
                const value_t<X> zero(math::Scalar<value_t<X>>(0));
                return near ? x[col::keep{}] : math::select(x[col::advantage{}] >= zero, x[col::keep{}], zero);
            }
        };
        ROARS_FN OfSequence operator()(const SequenceSum& x) const { return {-x.mean() <= threshold}; }
    };

    template <class RunType, class BatchType>
    void add_sums(RunType& run, BatchType& batch, Sums& to) const {
        detail::add_sums(base, run, batch, to);
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        detail::prepare_wrapped(base, run, batch, sums);
        detail::keep_all<Base>(run, batch);
        map_by_sequence<col::keep, columns<col::advantage, col::keep>>(run, batch, detail::LogRatio{}, Keep{threshold});
    }
    template <class X>
    ROARS_FN auto token(const X& x) const {
        using V = value_t<X>;
        return detail::kept<V>(base.token(x), x[col::keep{}] != V(math::Scalar<V>(0)));
    }
};
template <class Base>
ROARS_FIELDS_OF((OffPolicySequenceMask<Base>), base, threshold)

/// The tokens stay whose entropy is at least the (1 - fraction) quantile (with linear interpolation) of the whole
/// batch's trainable tokens. High-entropy minority tokens, arXiv 2506.01939.
template <TokenTerm Base>
struct TopEntropy {
    Base base{};
    double fraction = 0.2;

    static constexpr std::string_view name = Base::name;
    using needs = unite_t<needs_of<Base>, columns<col::keep>>;
    using gives = unite_t<gives_of<Base>, columns<col::keep>>;
    using prepare_needs = unite_t<detail::prepare_needs_of<Base>, columns<col::entropy>>;
    using differentiates = typename Base::differentiates;
    static constexpr auto metrics = detail::with_name(metrics_of<Base>, "kept_fraction");

    static constexpr bool everywhere =
        detail::base_runs_everywhere<Base> && std::is_empty_v<detail::sums_of_base<Base>>;

    /// The entropies of the whole batch and what the base sums.
    template <class B>
    struct SumsIn {
        detail::sums_of_base<Base> base;
        detail::ColumnIn<B, col::entropy> entropy;
        void clear() { entropy.clear(); }
        SumsIn& operator+=(const SumsIn& other) {
            base += other.base;
            entropy += other.entropy;
            return *this;
        }
    };
    using Sums = SumsIn<backend::Host>;

    template <class RunType, class BatchType, class SumsType>
    void add_sums(RunType& run, BatchType& batch, SumsType& to) const {
        detail::add_sums(base, run, batch, to.base);
        to.entropy.add(*this, run, batch);
    }
    /// The quantile; 0 of nothing.
    double threshold(backend::Host& backend, const Sums& sums) const {
        return sums.entropy.read([&](const auto& x) {
            Ranking ranking(backend, x.tokens(), [&](std::int64_t t) { return double(x(0, t)); });
            if (ranking.size() == 0) return 0.0;
            auto place = quantile(ranking.size());
            Ranked found = ranking.at(place.below);
            return place.between(found.value, found.next);
        });
    }
    template <class RunType, class BatchType>
    void prepare(RunType& run, BatchType& batch, const Sums& sums) const {
        using Real = typename BatchType::Real;
        detail::prepare_wrapped(base, run, batch, sums.base);
        double least = threshold(run.backend, sums);
        const Real* entropy = batch[col::entropy{}].data();
        Real* keep = batch[col::keep{}].data();
        parallel_pieces(run.backend, batch.tokens(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
            for (std::int64_t t = begin; t < end; ++t) keep_if(double(entropy[t]) >= least, keep[t]);
        });
    }

    // On a device.
    struct Find {
        TopEntropy term;
        InOrder entropy;
        double* least;
        ROARS_FN void operator()(std::int64_t) const {
            const std::int64_t numbers = entropy.numbers();
            *least = 0.0;
            if (numbers == 0) return;
            auto place = term.quantile(numbers);
            *least = place.between(entropy[place.below], entropy[std::min(place.below + 1, numbers - 1)]);
        }
    };
    template <class Real>
    struct Keep {
        const double* least;
        const Real* entropy;
        Real* keep;
        ROARS_FN void operator()(std::int64_t t) const { keep_if(double(entropy[t]) >= *least, keep[t]); }
    };
    template <class RunType, class BatchType, class B>
    void prepare(RunType& run, BatchType& batch, const SumsIn<B>& sums) const {
        using Here = Everywhere<B>;
        detail::prepare_wrapped(base, run, batch, sums.base);
        const auto& entropies = sums.entropy.values;
        detail::ScratchOf<double, RunType> least(run.backend, 1);
        detail::ScratchOf<std::int64_t, RunType> order(run.backend, entropies.size());
        Here::argsort(run.backend, entropies.data(), entropies.size(), order.data());
        Find find{*this, {entropies.data(), order.data(), entropies.size()}, least.data()};
        Here::for_each(run.backend, 1, find);
        auto view = view_of<columns<col::entropy, col::keep>>(run, batch);
        Keep<typename BatchType::Real> body{least.data(), view[col::entropy{}], view[col::keep{}]};
        Here::for_each(run.backend, batch.tokens(), body);
    }
    template <class X>
    ROARS_FN auto token(const X& x) const {
        using V = value_t<X>;
        return detail::kept<V>(base.token(x), x[col::keep{}] != V(math::Scalar<V>(0)));
    }

private:
    /// A place between two of those in order.
    struct Place {
        std::int64_t below;
        double part;
        ROARS_FN double between(double value, double next) const {
            return part == 0.0 ? value : value + part * (next - value);
        }
    };
    ROARS_FN Place quantile(std::int64_t numbers) const {
        double place = std::min(std::max(1.0 - fraction, 0.0), 1.0) * static_cast<double>(numbers - 1);
        auto below = static_cast<std::int64_t>(place);
        return {below, place - static_cast<double>(below)};
    }
    template <class Real>
    ROARS_FN static void keep_if(bool stays, Real& keep) {
        if constexpr (contains_v<col::keep, gives_of<Base>>)
            keep = stays ? keep : Real(0);
        else
            keep = stays ? Real(1) : Real(0);
    }
};
template <class Base>
ROARS_FIELDS_OF((TopEntropy<Base>), base, fraction)

}  // namespace roars::surrogate
