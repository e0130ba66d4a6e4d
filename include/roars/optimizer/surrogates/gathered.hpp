#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

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

    Real operator()(std::size_t k, std::int64_t t) const { return from[k][t]; }
    bool counts(std::int64_t t) const {
        if constexpr (masked)
            return mask[t] != Real(0);
        else
            return from[0][t] == from[0][t];
    }
    static constexpr std::size_t width = count;
    std::int64_t sequences() const { return segment_count(offsets); }
    std::int64_t tokens() const { return offsets.empty() ? 0 : offsets.back(); }
};
/// Where sequence i begins.
template <class Numbers>
std::int64_t begin_of(const Numbers& x, std::int64_t i) {
    return x.offsets[static_cast<std::size_t>(i)];
}
template <class... Column, class BatchType>
auto numbers_of(const BatchType& batch, columns<Column...>) {
    using Real = typename BatchType::Real;
    constexpr bool masked = BatchType::template has<col::mask>;
    const Real* mask = nullptr;
    if constexpr (masked) mask = batch[col::mask{}].data();
    return TokenNumbers<Real, sizeof...(Column), masked>{{batch[Column{}].data()...}, mask, batch.token_offsets()};
}

/// The same of a whole batch, copied from its micro-batches one after another; NaN where a token does not count.
template <class... Column>
class Gathered {
public:
    Gathered() = default;
    template <class BatchType>
    Gathered(backend::Host& backend, const BatchType& batch) {
        using Real = typename BatchType::Real;
        auto from = numbers_of(batch, columns<Column...>{});
        auto& to = values_.template emplace<Values<Real>>();
        for (auto& column : to) column.resize(static_cast<std::size_t>(from.tokens()));
        parallel_pieces(backend, from.tokens(), [&](std::int64_t, std::int64_t begin, std::int64_t end) {
            for (std::size_t k = 0; k < to.size(); ++k) {
                Real* column = to[k].data();
                for (std::int64_t t = begin; t < end; ++t)
                    column[t] = from.counts(t) ? from(k, t) : std::numeric_limits<Real>::quiet_NaN();
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
        expect(values_.index() == other.values_.index(), "micro-batches of one batch are of one type of numbers");
        std::visit(
            [&](auto& ours) {
                const auto& theirs = std::get<std::remove_cvref_t<decltype(ours)>>(other.values_);
                for (std::size_t k = 0; k < ours.size(); ++k)
                    ours[k].insert(ours[k].end(), theirs[k].begin(), theirs[k].end());
            },
            values_);
        std::int64_t before = offsets_.back();
        for (std::size_t i = 1; i < other.offsets_.size(); ++i) offsets_.push_back(before + other.offsets_[i]);
        return *this;
    }
    /// use(x), x the TokenNumbers of all.
    template <class Use>
    decltype(auto) read(Use&& use) const {
        return std::visit(
            [&]<class Real>(const Values<Real>& values) {
                return [&]<std::size_t... k>(std::index_sequence<k...>)->decltype(auto) {
                    return use(TokenNumbers<Real, sizeof...(k), false>{{values[k].data()...}, nullptr, offsets_});
                }
                (std::index_sequence_for<Column...>{});
            },
            values_);
    }

private:
    template <class Real>
    using Values = std::array<KeptVector<Real>, sizeof...(Column)>;

    std::variant<Values<float>, Values<double>> values_;
    std::vector<std::int64_t> offsets_;
};

}  // namespace roars::detail
