#pragma once

#include <cstdint>

#include "roars/algorithm.hpp"
#include "roars/primitives/broadcast.hpp"

namespace roars {

/// A token as a weight sees it: x[col::entropy{}] is the token's value of a column, or its sequence's.
template <class BatchType>
class TokenView {
public:
    ROARS_FN TokenView(const BatchType& batch, std::int64_t sequence, std::int64_t token)
        : batch_(batch), sequence_(sequence), token_(token) {}
    template <class Column>
    ROARS_FN double operator[](Column column) const {
        static_assert(Column::extent == Extent::token || Column::extent == Extent::sequence,
                      "the weight of a token reads columns of tokens and of sequences");
        std::int64_t i = Column::extent == Extent::token ? token_ : sequence_;
        return double(batch_[column][static_cast<std::size_t>(i)]);
    }
    /// Place in its sequence, from 0; tokens of the sequence.
    ROARS_FN std::int64_t position() const { return token_ - detail::token_offset(batch_, sequence_); }
    ROARS_FN std::int64_t length() const {
        return detail::token_offset(batch_, sequence_ + 1) - detail::token_offset(batch_, sequence_);
    }
    ROARS_FN std::int64_t token() const { return token_; }
    ROARS_FN std::int64_t sequence() const { return sequence_; }

private:
    const BatchType& batch_;
    std::int64_t sequence_, token_;
};

/// weight(x): a factor for each token, from columns in its `needs`. One that is written over any number type weighs
/// surrogates too (surrogate::Weighted), as the policy is at every step; here it is asked once, before the update.
template <class W>
concept TokenWeight = Part<W> && requires(const W& weight, const TokenView<archetype::AnyView>& x) {
    { weight(x) } -> std::convertible_to<double>;
};

namespace weight {

/// 1.
struct One {
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN double operator()(const X&) const {
        return 1.0;
    }
};
/// The value of a column: Column<col::importance_weight>.
template <class Source>
struct Column {
    using needs = columns<Source>;
    static constexpr bool everywhere = true;
    template <class X>
    ROARS_FN auto operator()(const X& x) const {
        return x[Source{}];
    }
};
ROARS_FIELDS(One)
template <class Source>
ROARS_FIELDS_OF((Column<Source>))

}  // namespace weight

namespace advantage {

/// A_t = weight_t A_t of `base`: any weight per token on any advantage. A masked token's weight is not looked at; it
/// gets 0. Shapes: advantage [tokens].
template <AdvantagePart Base, TokenWeight Weight>
struct Times {
    Base base{};
    Weight weight{};

    using needs = unite_t<needs_of<Base>, minus_t<needs_of<Weight>, gives_of<Base>>>;
    using gives = gives_of<Base>;
    using State = state_of<Base>;

    static constexpr bool everywhere = runs_everywhere<Weight>;
    using Inner = Base;

    template <class X>
    struct Weigh {
        Weight weight;
        X x;
        ROARS_FN void operator()(std::int64_t i, std::int64_t t) const {
            auto& advantage = x[col::advantage{}][t];
            advantage =
                static_cast<typename X::Real>(x.trainable(t) ? weight(TokenView<X>(x, i, t)) * double(advantage) : 0.0);
        }
    };
    template <class RunType, BatchWith<col::advantage> BatchType>
    void estimate(RunType& run, State& state, BatchType& batch) const {
        roars::detail::call_estimate(base, run, state, batch);
        auto x = view_of<unite_t<needs_of<Weight>, columns<col::advantage>>>(run, batch);
        roars::detail::EverywhereOf<RunType>::for_each_token(run.backend, batch, Weigh<decltype(x)>{weight, x});
    }
    auto terms(const State& state) const requires HasTerms<Base> { return roars::detail::terms_of(base, state); }
};
template <class Base, class Weight>
ROARS_FIELDS_OF((Times<Base, Weight>), base, weight)

}  // namespace advantage
}  // namespace roars
