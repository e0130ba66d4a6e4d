#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "roars/everywhere.hpp"
#include "roars/objective.hpp"
#include "roars/primitives/kept_memory.hpp"

/// What a term reads of all tokens of a batch before any micro-batch can be differentiated.
namespace roars::detail {

/// Columns of the tokens of sequences: x(k, t) of the k-th, whatever that is where token t does not count. Without a
/// mask those do not count whose first number is NaN.
template <class Real, std::size_t count, bool masked>
struct TokenNumbers {
    std::array<const Real*, count> from;
    const Real* mask;
    Offsets offsets;

    ROARS_FN Real operator()(std::size_t k, std::int64_t t) const { return from[k][t]; }
    ROARS_FN bool counts(std::int64_t t) const {
        if constexpr (masked)
            return mask[t] != Real(0);
        else
            return from[0][t] == from[0][t];
    }
    /// That number where token t counts, else NaN; read all the same, so that a loop has no branch.
    ROARS_FN Real counted(std::size_t k, std::int64_t t) const {
        const Real number = from[k][t];
        return counts(t) ? number : std::numeric_limits<Real>::quiet_NaN();
    }
    static constexpr std::size_t width = count;
    std::int64_t sequences() const { return segment_count(offsets); }
    std::int64_t tokens() const { return offsets.empty() ? 0 : offsets.back(); }
};
/// Where sequence i begins.
template <class Numbers>
ROARS_FN std::int64_t begin_of(const Numbers& x, std::int64_t i) {
    return x.offsets[static_cast<std::size_t>(i)];
}
template <class... Column, class ViewType>
auto numbers_in(const ViewType& view, Offsets offsets, columns<Column...>) {
    using Real = typename ViewType::Real;
    constexpr bool masked = ViewType::template has<col::mask>;
    const Real* mask = nullptr;
    if constexpr (masked) mask = view[col::mask{}];
    return TokenNumbers<Real, sizeof...(Column), masked>{{view[Column{}]...}, mask, offsets};
}
template <class Set, class BatchType>
auto numbers_of(const BatchType& batch, Set set) {
    auto view = Everywhere<backend::Host>::view<ViewColumns<Set, BatchType>>(batch);
    return numbers_in(view, batch.token_offsets(), set);
}
/// The same in the memory of the run's backend: what a kernel reads.
template <class RunType, class Set, class BatchType>
auto numbers_of(RunType& run, const BatchType& batch, Set set) {
    auto view = view_of<Set>(run, batch);
    return numbers_in(view, Offsets(view.token_offsets, static_cast<std::size_t>(view.sequences) + 1), set);
}

/// The same of a whole batch, copied from its micro-batches one after another; NaN where a token does not count.
template <class... Column>
class Gathered {
public:
    using Columns = columns<Column...>;
    Gathered() = default;
    template <class BatchType>
    Gathered(backend::Host& backend, const BatchType& batch) {
        using Real = typename BatchType::Real;
        auto from = numbers_of(batch, columns<Column...>{});
        auto& to = std::get<Values<Real>>(values_);
        is_double_ = std::is_same_v<Real, double>;
        for (auto& column : to) column.resize(static_cast<std::size_t>(from.tokens()));
        parallel_pieces(backend, from.tokens(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
            for (std::size_t k = 0; k < to.size(); ++k) {
                Real* column = to[k].data();
                for (std::int64_t t = begin; t < end; ++t) column[t] = from.counted(k, t);
            }
        });
        offsets_.assign(from.offsets.begin(), from.offsets.end());
    }
    /// Errors: micro-batches of float and of double.
    Gathered& operator+=(Gathered&& other) {
        if (offsets_.empty()) return *this = std::move(other);
        return *this += std::as_const(other);
    }
    Gathered& operator+=(const Gathered& other) {
        if (other.offsets_.empty()) return *this;
        if (offsets_.empty()) return *this = other;
        expect(is_double_ == other.is_double_, "micro-batches of one batch are of one type of numbers");
        auto append = []<class Real>(Values<Real>& ours, const Values<Real>& theirs) {
            for (std::size_t k = 0; k < ours.size(); ++k)
                ours[k].insert(ours[k].end(), theirs[k].begin(), theirs[k].end());
        };
        append(std::get<0>(values_), std::get<0>(other.values_));
        append(std::get<1>(values_), std::get<1>(other.values_));
        std::int64_t before = offsets_.back();
        for (std::size_t i = 1; i < other.offsets_.size(); ++i) offsets_.push_back(before + other.offsets_[i]);
        return *this;
    }
    template <class Term, class RunType, class BatchType>
    void add(const Term&, RunType& run, const BatchType& batch) {
        *this += Gathered(run.backend, batch);
    }
    /// use(x), x the TokenNumbers of all.
    template <class Use>
    decltype(auto) read(Use&& use) const {
        if (is_double_) return use(numbers(std::get<1>(values_), std::index_sequence_for<Column...>{}));
        return use(numbers(std::get<0>(values_), std::index_sequence_for<Column...>{}));
    }

private:
    template <class Real>
    using Values = std::array<KeptVector<Real>, sizeof...(Column)>;
    template <class Real, std::size_t... k>
    auto numbers(const Values<Real>& values, std::index_sequence<k...>) const {
        return TokenNumbers<Real, sizeof...(k), false>{{values[k].data()...}, nullptr, offsets_};
    }

    // One of both is empty. In a variant of them g++ 12 -O3 moves one as if it were the other, and both are lost.
    std::tuple<Values<float>, Values<double>> values_;
    bool is_double_ = false;
    std::vector<std::int64_t> offsets_;
};

template <class Numbers>
struct ListNumbers {
    Numbers x;
    std::size_t k;
    double* to;
    ROARS_FN void operator()(std::int64_t t) const { to[t] = static_cast<double>(x.counted(k, t)); }
};
/// The k-th number of a micro-batch's tokens comes behind those of `to`; NaN where one does not count.
template <class B, class Numbers>
void list_numbers(B& backend, std::int64_t tokens, const Numbers& x, std::size_t k, ListIn<double, B>& to) {
    double* end = to.extend(backend, tokens);
    Everywhere<B>::for_each(backend, tokens, ListNumbers<Numbers>{x, k, end});
}
/// One column gathered in the memory of a device.
template <class B, class Column>
struct ColumnList {
    ListIn<double, B> values;
    void clear() { values.clear(); }
    template <class Term, class RunType, class BatchType>
    void add(const Term&, RunType& run, const BatchType& batch) {
        list_numbers(run.backend, batch.tokens(), numbers_of(run, batch, columns<Column>{}), 0, values);
    }
};
template <class B, class Column>
using ColumnIn = std::conditional_t<B::on_device, ColumnList<B, Column>, Gathered<Column>>;

}  // namespace roars::detail
