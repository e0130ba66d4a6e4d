#pragma once

#include <cstdint>
#include <span>

#include "roars/algorithm.hpp"
#include "roars/primitives/broadcast.hpp"

namespace roars {

/// A token as a weight sees it: x[col::entropy{}] is the token's value of a column, or its sequence's.
template <class BatchType>
class TokenView {
public:
    TokenView(const BatchType& batch, std::int64_t sequence, std::int64_t token)
        : batch_(batch), sequence_(sequence), token_(token) {}
    template <class Column>
    double operator[](Column column) const {
        static_assert(Column::extent == Extent::token || Column::extent == Extent::sequence,
                      "the weight of a token reads columns of tokens and of sequences");
        std::int64_t i = Column::extent == Extent::token ? token_ : sequence_;
        return double(batch_[column][static_cast<std::size_t>(i)]);
    }
    /// Place in its sequence, from 0; tokens of the sequence.
    std::int64_t position() const { return token_ - batch_.token_offsets()[static_cast<std::size_t>(sequence_)]; }
    std::int64_t length() const {
        auto i = static_cast<std::size_t>(sequence_);
        return batch_.token_offsets()[i + 1] - batch_.token_offsets()[i];
    }
    std::int64_t token() const { return token_; }
    std::int64_t sequence() const { return sequence_; }

private:
    const BatchType& batch_;
    std::int64_t sequence_, token_;
};

/// weight(x): a factor for each token, from columns in its `needs`. One that is written over any number type weighs
/// surrogates too (surrogate::Weighted), as the policy is at every step; here it is asked once, before the update.
template <class W>
concept TokenWeight = Part<W> && requires(const W& weight, const TokenView<archetype::AnyBatch>& x) {
    { weight(x) } -> std::convertible_to<double>;
};

namespace weight {

/// 1.
struct One {
    template <class X>
    double operator()(const X&) const {
        return 1.0;
    }
};
/// The value of a column: Column<col::importance_weight>.
template <class Source>
struct Column {
    using needs = columns<Source>;
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

    template <class RunType, BatchWith<col::advantage> BatchType>
    void estimate(RunType& run, State& state, BatchType& batch) const {
        using Real = typename BatchType::Real;
        roars::detail::call_estimate(base, run, state, batch);
        std::span<Real> advantage = batch[col::advantage{}];
        segmented_transform(run.backend, batch.token_offsets(), advantage, [&](std::int64_t i, std::int64_t t) {
            if (!roars::detail::trainable<col::mask>(batch, t)) return 0.0;
            return weight(TokenView<BatchType>(batch, i, t)) * double(advantage[static_cast<std::size_t>(t)]);
        });
    }
    auto terms(const State& state) const requires HasTerms<Base> { return roars::detail::terms_of(base, state); }
};
template <class Base, class Weight>
ROARS_FIELDS_OF((Times<Base, Weight>), base, weight)

}  // namespace advantage
}  // namespace roars
