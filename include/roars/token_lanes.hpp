#pragma once

#include <array>
#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/objective.hpp"
#include "roars/primitives/segments.hpp"

/// The tokens of a batch, a SIMD lane each, for what stands before the objective: sums over sequences, weights of
/// tokens. What they compute is written over V, as a term is.
namespace roars {

/// First - Second: what is most often summed or weighed.
template <class First, class Second>
struct ColumnDifference {
    using needs = columns<First, Second>;
    template <class X>
    ROARS_FN value_t<X> operator()(const X& x) const {
        return x[First{}] - x[Second{}];
    }
};

namespace detail {

/// Some real columns of a batch and its mask; where it has no mask, every token is selected.
template <class V, class Mask, class BatchType, class... Column>
class TokenLanes {
public:
    using Real = typename BatchType::Real;
    using X = Token<V, columns<Column...>>;
    static constexpr std::int64_t lanes = math::lanes<V>;
    static_assert(((Column::extent == Extent::token && Column::kind == Kind::real) && ...));

    explicit TokenLanes(const BatchType& batch) : from_{batch[Column{}].data()...} {
        check_widths(batch, columns<Column...>{});
        if constexpr (masked) mask_ = batch[Mask{}].data();
    }

    /// body(x, selected, t, used) for the tokens [t, t + used) of [begin, end), from the first on. In a last step that
    /// is not full the lanes from `used` on are not selected.
    template <class Body>
    ROARS_INLINE void for_each(std::int64_t begin, std::int64_t end, Body&& body) const {
        std::int64_t t = begin;
        for (; t + lanes <= end; t += lanes)
            body(tokens(t, std::index_sequence_for<Column...>{}), selected(t), t, lanes);
        if (t < end) body(tokens(t, end - t, std::index_sequence_for<Column...>{}), selected(t, end - t), t, end - t);
    }
    /// sum of value(x) over the selected tokens, in double, in an order that depends on their number alone.
    template <class Value>
    double sum(std::int64_t begin, std::int64_t end, Value&& value) const {
        std::array<double, static_cast<std::size_t>(lanes)> sums{};
        for_each(begin, end, [&](const X& x, const math::Mask<V>& counts, std::int64_t, std::int64_t) {
            alignas(64) std::array<Real, static_cast<std::size_t>(lanes)> each;
            math::store(each.data(), math::select(counts, V(value(x)), V(Real(0))));
            for (std::size_t j = 0; j < each.size(); ++j) sums[j] += static_cast<double>(each[j]);
        });
        for (std::size_t half = sums.size() / 2; half > 0; half /= 2)
            for (std::size_t j = 0; j < half; ++j) sums[j] += sums[j + half];
        return sums[0];
    }
    /// to_t = value(x), or value(x, t), for the selected tokens, 0 for the others.
    template <class Value>
    void write(Real* to, std::int64_t begin, std::int64_t end, Value&& value) const {
        for_each(begin, end, [&](const X& x, const math::Mask<V>& counts, std::int64_t t, std::int64_t used) {
            V result;
            if constexpr (std::is_invocable_v<Value, const X&, std::int64_t>)
                result = value(x, t);
            else
                result = V(value(x));
            result = math::select(counts, result, V(Real(0)));
            if (used == lanes) return math::store(to + t, result);
            math::store_first(to + t, result, used);
        });
    }

private:
    static constexpr bool masked = BatchType::template has<Mask>;

    template <std::size_t... k>
    ROARS_INLINE X tokens([[maybe_unused]] std::int64_t t, std::index_sequence<k...>) const {
        return {{math::load<V>(from_[k] + t)}...};
    }
    template <std::size_t... k>
    X tokens([[maybe_unused]] std::int64_t t, [[maybe_unused]] std::int64_t used, std::index_sequence<k...>) const {
        return {{math::load_first<V>(from_[k] + t, used)}...};
    }
    ROARS_INLINE math::Mask<V> selected(std::int64_t t) const {
        if constexpr (masked)
            return math::load<V>(mask_ + t) != V(Real(0));
        else
            return V(Real(0)) == V(Real(0));
    }
    math::Mask<V> selected(std::int64_t t, std::int64_t used) const {
        if constexpr (masked)
            return math::load_first<V>(mask_ + t, used) != V(Real(0));
        else
            return math::first_ones<V>(used) != V(Real(0));
    }

    std::array<const Real*, sizeof...(Column)> from_;
    const Real* mask_ = nullptr;
};
template <class Mask, class BatchType, class... Column>
using LanesOf = TokenLanes<math::Lanes<typename BatchType::Real>, Mask, BatchType, Column...>;

}  // namespace detail

/// result_i = sum of value(x_t) over the trainable tokens t of sequence i, x of the given columns; 0 where there are
/// none. What stands at any other token does not matter. Summed in double in an order that depends on the sequence's
/// length alone.
template <class Mask = col::mask, class BatchType, class... Column, class Value>
std::vector<double> sequence_sums(backend::Host& backend, const BatchType& batch, columns<Column...>, Value&& value) {
    detail::LanesOf<Mask, BatchType, Column...> tokens(batch);
    std::vector<double> sums(static_cast<std::size_t>(batch.sequences()));
    detail::segmented_reduce(
        backend, batch.token_offsets(),
        [&](std::int64_t begin, std::int64_t end) { return tokens.sum(begin, end, value); },
        [](double left, double right) { return left + right; },
        [&](std::int64_t sequence, double sum) { sums[static_cast<std::size_t>(sequence)] = sum; });
    return sums;
}

/// The mean over the same tokens; 0 where there are none.
template <class Mask = col::mask, class BatchType, class... Column, class Value>
std::vector<double> sequence_means(backend::Host& backend, const BatchType& batch, columns<Column...> of,
                                   Value&& value) {
    std::vector<double> means = sequence_sums<Mask>(backend, batch, of, value);
    std::vector<std::int64_t> lengths = detail::trainable_lengths<Mask>(backend, batch);
    for (std::size_t i = 0; i < means.size(); ++i)
        if (lengths[i] > 0) means[i] /= double(lengths[i]);
    return means;
}

/// out_t = value(x_t) for the trainable tokens, 0 for the others.
template <class Out, class BatchType, class... Column, class Value>
void map_tokens(backend::Host& backend, BatchType& batch, columns<Column...>, Value&& value) {
    detail::LanesOf<col::mask, BatchType, Column...> tokens(batch);
    auto* to = batch[Out{}].data();
    parallel_pieces(backend, batch.tokens(),
                    [&](std::int64_t, std::int64_t begin, std::int64_t end) { tokens.write(to, begin, end, value); });
}

/// out_t = of(i)(x_t) for the trainable tokens t of sequence i, 0 for the others: what belongs to the sequence is found
/// once.
template <class Out, class BatchType, class... Column, class Of>
void map_sequences(backend::Host& backend, BatchType& batch, columns<Column...>, Of&& of) {
    detail::LanesOf<col::mask, BatchType, Column...> tokens(batch);
    auto* to = batch[Out{}].data();
    detail::ChunkedSegments(backend, batch.token_offsets()).for_each(backend, [&](const detail::Chunk& chunk) {
        tokens.write(to, chunk.begin, chunk.end, of(static_cast<std::size_t>(chunk.segment)));
    });
}

}  // namespace roars
