#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/backend.hpp"
#include "roars/batch.hpp"
#include "roars/primitives/broadcast.hpp"
#include "roars/primitives/segmented_reduce.hpp"
#include "roars/primitives/sort.hpp"
#include "roars/token_lanes.hpp"

/// Work on tokens, sequences and groups that a loop of the host and a kernel share. A part that is made of it and of
/// ROARS_FN functions alone says so, `static constexpr bool everywhere = true;`, and runs on whatever backend its Run
/// has: the numbers that it works on, Sums among them, are in the backend's memory, and only such functions read them.
namespace roars {

/// Whether a part says that.
template <class Part>
inline constexpr bool runs_everywhere = requires {
    requires Part::everywhere;
};

namespace detail {
template <class Column, class Real>
struct ColumnPointer {
    value_of<Column, Real>* to = nullptr;
    std::int64_t width = 1;
};
}  // namespace detail

/// A batch as a kernel sees it: pointers and counts. view[col::logp{}][t] is a value.
template <class Real_, class Set>
struct BatchView;
template <class Real_, class... Column>
struct BatchView<Real_, columns<Column...>> : detail::ColumnPointer<Column, Real_>... {
    using Real = Real_;
    using Columns = columns<Column...>;
    template <class C>
    static constexpr bool has = contains_v<C, Columns>;

    const std::int64_t* token_offsets = nullptr;
    std::int64_t tokens = 0, sequences = 0, groups = 0;

    template <class C>
    ROARS_FN value_of<C, Real>* operator[](C) const {
        static_assert(std::conditional_t<has<C>, std::true_type, column_is_not_in_this_batch<C>>::value);
        return static_cast<const detail::ColumnPointer<C, Real>&>(*this).to;
    }
    template <class C>
    ROARS_FN std::int64_t width(C) const {
        return static_cast<const detail::ColumnPointer<C, Real>&>(*this).width;
    }
    /// Row i of a wide column.
    template <class C>
    ROARS_FN std::span<value_of<C, Real>> row(C column, std::int64_t i) const {
        return {(*this)[column] + i * width(column), static_cast<std::size_t>(width(column))};
    }
    template <class C>
    void point(C, value_of<C, Real>* values, std::int64_t width) {
        auto& column = static_cast<detail::ColumnPointer<C, Real>&>(*this);
        column.to = values;
        column.width = width;
    }

    /// Whether token t counts; without the mask every one does.
    template <class Mask = col::mask>
    ROARS_FN bool trainable(std::int64_t t) const {
        if constexpr (has<Mask>)
            return (*this)[Mask{}][t] != Real(0);
        else
            return true;
    }
    /// The last trainable token of sequence i; -1 where it has none.
    ROARS_FN std::int64_t last_trainable(std::int64_t i) const {
        for (std::int64_t t = token_offsets[i + 1] - 1; t >= token_offsets[i]; --t)
            if (trainable(t)) return t;
        return -1;
    }
    /// The first one.
    ROARS_FN std::int64_t first_trainable(std::int64_t i) const {
        for (std::int64_t t = token_offsets[i]; t < token_offsets[i + 1]; ++t)
            if (trainable(t)) return t;
        return -1;
    }
    ROARS_FN std::int64_t length(std::int64_t i) const { return token_offsets[i + 1] - token_offsets[i]; }
    /// Token t, of sequence i, as a term sees it.
    template <class... C>
    ROARS_FN Token<Real, columns<C...>> token(columns<C...>, [[maybe_unused]] std::int64_t i,
                                              [[maybe_unused]] std::int64_t t) const {
        return {{(*this)[C{}][C::extent == Extent::sequence ? i : t]}...};
    }
};

namespace detail {
/// Where sequence i begins, of a batch or of a view of one.
template <class BatchType>
ROARS_FN std::int64_t token_offset(const BatchType& batch, std::int64_t i) {
    if constexpr (requires { batch.token_offsets(); })
        return batch.token_offsets()[static_cast<std::size_t>(i)];
    else
        return batch.token_offsets[i];
}
}  // namespace detail

/// What is known of a sequence: the sum of a token function over its trainable tokens, and how many they are.
struct SequenceSum {
    double sum = 0.0;
    std::int64_t length = 0;
    ROARS_FN double mean() const { return length > 0 ? sum / static_cast<double>(length) : sum; }
    ROARS_FN SequenceSum& operator+=(const SequenceSum& other) {
        sum += other.sum;
        length += other.length;
        return *this;
    }
};
/// A view and that of every sequence.
template <class ViewType>
struct SummedView : ViewType {
    const double* sum = nullptr;
    const std::int64_t* trainable_length = nullptr;
    ROARS_FN SequenceSum of(std::int64_t i) const { return {sum ? sum[i] : 0.0, trainable_length[i]}; }
};
/// The token function of those that need none.
struct NoSummary {
    using needs = columns<>;
    template <class X>
    ROARS_FN value_t<X> operator()(const X&) const {
        return value_t<X>(math::Scalar<value_t<X>>(0));
    }
};

/// What a backend brings for this. `Host` here; a device in cuda/roars/cuda/everywhere.hpp.
template <class B>
struct Everywhere;

template <>
struct Everywhere<backend::Host> {
    /// Memory of `count` values in passing, with nothing in it.
    template <class T>
    class Scratch {
    public:
        Scratch(backend::Host&, std::int64_t count) : values_(static_cast<std::size_t>(count)) {}
        T* data() { return values_.data(); }

    private:
        std::vector<T> values_;
    };

    /// Values to which others are added, in the backend's memory.
    template <class T>
    class List {
    public:
        std::int64_t size() const { return std::ssize(values_); }
        const T* data() const { return values_.data(); }
        T* data() { return values_.data(); }
        /// Room for `count` more: where they begin, with nothing in it.
        T* extend(backend::Host&, std::int64_t count) {
            values_.resize(values_.size() + static_cast<std::size_t>(count));
            return values_.data() + (std::ssize(values_) - count);
        }
        void clear() { values_.clear(); }
        List& operator+=(const List& other) {
            values_.insert(values_.end(), other.values_.begin(), other.values_.end());
            return *this;
        }

    private:
        std::vector<T> values_;
    };

    template <class Set, class BatchType>
    static auto view(const BatchType& batch) {
        using Real = typename BatchType::Real;
        BatchView<Real, Set> view;
        [&]<class... Column>(columns<Column...>) {
            (view.point(Column{}, const_cast<value_of<Column, Real>*>(batch[Column{}].data()), width_in<Column>(batch)),
             ...);
        }(Set{});
        view.token_offsets = batch.token_offsets().data();
        view.tokens = batch.tokens();
        view.sequences = batch.sequences();
        view.groups = batch.groups();
        return view;
    }
    template <class Column, class BatchType>
    static std::int64_t width_in(const BatchType& batch) {
        if constexpr (Column::kind == Kind::offsets)
            return 1;
        else
            return batch.width(Column{});
    }
    template <class T>
    static void clear(backend::Host&, T* to, std::int64_t count) {
        std::fill(to, to + count, T{});
    }
    /// body(i) for i in [0, count), in no order.
    template <class Body>
    static void for_each(backend::Host& backend, std::int64_t count, const Body& body) {
        parallel_for(backend, count, body);
    }
    /// body(sequence, t) for all tokens.
    template <class BatchType, class Body>
    static void for_each_token(backend::Host& backend, const BatchType& batch, const Body& body) {
        segmented_for_each(backend, batch.token_offsets(), body);
    }
    /// to += value(0) + ... + value(count - 1).
    template <class S, class Value>
    static void add(backend::Host&, std::int64_t count, const Value& value, S& to) {
        for (std::int64_t i = 0; i < count; ++i) to += value(i);
    }
    /// Puts values in ascending order, NaN last.
    static void sort(backend::Host&, double* values, std::int64_t count) {
        std::sort(values, values + count, Ascending{});
    }
    /// order[p] = the index of the value that comes to place p in ascending order: stable, NaN last.
    template <class T>
    static void argsort(backend::Host& backend, const T* values, std::int64_t count, std::int64_t* order) {
        auto size = static_cast<std::size_t>(count);
        stable_argsort(backend, std::span<const T>(values, size), std::span<std::int64_t>(order, size));
    }
    /// to_i = value(t) + ... of all tokens t of sequence i.
    template <class S, class BatchType, class Value>
    static void sequence_totals(backend::Host& backend, const BatchType& batch, const Value& value, S* to) {
        auto over = [&](std::int64_t begin, std::int64_t end) {
            S sum{};
            for (std::int64_t t = begin; t < end; ++t) sum += value(t);
            return sum;
        };
        detail::segmented_reduce(
            backend, batch.token_offsets(), over, [](S left, const S& right) { return left += right; },
            [&](std::int64_t sequence, const S& sum) { to[sequence] = sum; });
    }
    /// to_i = the trainable tokens of sequence i.
    template <class Mask, class BatchType>
    static void lengths(backend::Host& backend, const BatchType& batch, std::int64_t* to) {
        auto all = detail::trainable_lengths<Mask>(backend, batch);
        std::copy(all.begin(), all.end(), to);
    }
    /// to_i = sum of value(x_t) over them.
    template <class Mask, class BatchType, class Value>
    static void sequence_sums(backend::Host& backend, const BatchType& batch, const Value& value, double* to) {
        auto all = roars::sequence_sums<Mask>(backend, batch, typename Value::needs{}, value);
        std::copy(all.begin(), all.end(), to);
    }
    /// Out_t = of(what is known of the sequence)(x_t) for its trainable tokens, 0 for the others; x of the columns
    /// `From`.
    template <class Out, class From, class BatchType, class X, class Of>
    static void map(backend::Host& backend, BatchType& batch, const X& x, const Of& of) {
        map_sequences<Out>(backend, batch, From{}, [&](std::size_t i) { return of(x.of(std::int64_t(i))); });
    }
    /// The moments of each group's values. Shapes: values [sequences] -> to [groups].
    template <class BatchType, class T>
    static void group_moments(backend::Host& backend, const BatchType& batch, const T* values, Moments* to) {
        segmented_moments(backend, batch[col::groups{}],
                          std::span<const T>(values, static_cast<std::size_t>(batch.sequences())),
                          std::span<Moments>(to, static_cast<std::size_t>(batch.groups())));
    }
    /// to_j = the j-th of the moments of the values that are there. Shapes: values, there [count].
    template <class T>
    static void moments(backend::Host& backend, const T* values, const char* there, std::int64_t count, Moments* to) {
        auto size = static_cast<std::size_t>(count);
        *to = roars::moments(backend, std::span<const T>(values, size), std::span<const char>(there, size));
    }
};

namespace detail {

template <class RunType>
using EverywhereOf = Everywhere<std::remove_cvref_t<decltype(std::declval<RunType&>().backend)>>;
template <class T, class RunType>
using ScratchOf = typename EverywhereOf<RunType>::template Scratch<T>;
template <class T, class B>
using ListIn = typename Everywhere<B>::template List<T>;

}  // namespace detail

/// The columns of `Wanted` and the mask, where the batch has one.
template <class Wanted, class BatchType>
using ViewColumns = unite_t<Wanted, common_t<columns<col::mask>, typename BatchType::Columns>>;
template <class Wanted, class RunType, class BatchType>
auto view_of(RunType&, const BatchType& batch) {
    return detail::EverywhereOf<RunType>::template view<ViewColumns<Wanted, BatchType>>(batch);
}

/// body(x), x a view of the columns `Wanted` that knows the sum of `summary` over every sequence's trainable tokens,
/// and their number.
template <class Wanted, class RunType, class BatchType, class Summary, class Body>
void with_summaries(RunType& run, const BatchType& batch, const Summary& summary, Body&& body) {
    using Here = detail::EverywhereOf<RunType>;
    constexpr bool sums = !std::is_same_v<Summary, NoSummary>;
    auto view = view_of<Wanted>(run, batch);
    detail::ScratchOf<std::int64_t, RunType> length(run.backend, batch.sequences());
    detail::ScratchOf<double, RunType> sum(run.backend, sums ? batch.sequences() : 0);
    Here::template lengths<col::mask>(run.backend, batch, length.data());
    if constexpr (sums) Here::template sequence_sums<col::mask>(run.backend, batch, summary, sum.data());
    body(SummedView<decltype(view)>{view, sums ? sum.data() : nullptr, length.data()});
}

/// Out_t = of(what is known of the sequence)(x_t) for the trainable tokens, 0 for the others; x of the columns `From`.
template <class Out, class From, class RunType, class BatchType, class Summary, class Of>
void map_by_sequence(RunType& run, BatchType& batch, const Summary& summary, const Of& of) {
    with_summaries<unite_t<From, columns<Out>>>(run, batch, summary, [&](const auto& x) {
        detail::EverywhereOf<RunType>::template map<Out, From>(run.backend, batch, x, of);
    });
}

namespace detail {
template <class X>
struct SumOfSequence {
    X x;
    ROARS_FN SequenceSum operator()(std::int64_t i) const { return x.of(i); }
};
}  // namespace detail

/// *to = what the sequences have together; it is in the backend's memory.
template <class RunType, class BatchType, class Summary>
void sum_of_all(RunType& run, const BatchType& batch, const Summary& summary, SequenceSum* to) {
    detail::EverywhereOf<RunType>::clear(run.backend, to, 1);
    with_summaries<columns<>>(run, batch, summary, [&]<class X>(const X& x) {
        detail::EverywhereOf<RunType>::add(run.backend, batch.sequences(), detail::SumOfSequence<X>{x}, *to);
    });
}

}  // namespace roars
