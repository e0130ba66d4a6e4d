#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "roars/columns.hpp"
#include "roars/error.hpp"
#include "roars/primitives/segments.hpp"

namespace roars {

/// A column is asked of a batch that has not got it. Incomplete, so that the compiler's message names the column.
template <class Column>
struct column_is_not_in_this_batch;

namespace detail {

template <class From, class To>
using copy_const = std::conditional_t<std::is_const_v<From>, const To, To>;

template <class Column, class Real>
struct OwnedColumn {
    std::vector<value_of<Column, Real>> values;
    std::int64_t width = 1;
    std::span<value_of<Column, Real>> span() { return values; }
    std::span<const value_of<Column, Real>> span() const { return values; }
};

/// `const Column` is one that nobody may write.
template <class Column, class Real>
struct BorrowedColumn {
    using Value = copy_const<Column, value_of<Column, Real>>;
    std::span<Value> values;
    std::int64_t width = 1;
    std::span<Value> span() const { return values; }
};

template <class Set>
struct without_const;
template <class... Column>
struct without_const<columns<Column...>> {
    using type = columns<std::remove_const_t<Column>...>;
};

template <class Real, class Owned, class Borrowed>
struct ColumnTuple;
template <class Real, class... Owned, class... Borrowed>
struct ColumnTuple<Real, columns<Owned...>, columns<Borrowed...>> : OwnedColumn<Owned, Real>...,
                                                                    BorrowedColumn<Borrowed, Real>... {};

}  // namespace detail

/// A batch: ragged structure of arrays with exactly the columns it names. Sequence i owns tokens
/// [token_offsets[i], token_offsets[i+1]); group g owns sequences [groups[g], groups[g+1]); both have 64 bits, nothing
/// is padded. `Owned` columns live here, `Borrowed` ones in somebody else's memory (a training engine of your own):
/// borrow(col::logp{}, values) gives the batch with that column borrowed. A slice copies the owned columns and points
/// into the borrowed ones.
template <class Real_, class Owned_, class Borrowed_ = columns<>>
class Batch {
public:
    using Real = Real_;
    using Owned = Owned_;
    using Borrowed = Borrowed_;
    using Columns = unite_t<Owned, typename detail::without_const<Borrowed>::type>;
    static_assert(Columns::size == Owned::size + Borrowed::size, "a column is owned or borrowed, not both");

    template <class Column>
    static constexpr bool has = contains_v<Column, Columns>;

    Batch() : token_offsets_(1, 0) {}
    /// Borrowed offsets are copied: they are small beside the tokens.
    explicit Batch(Offsets token_offsets) : token_offsets_(token_offsets.begin(), token_offsets.end()) {
        check_offsets(token_offsets_, "token_offsets");
        size_owned(Owned{});
    }
    Batch(Offsets token_offsets, Offsets group_offsets) : Batch(token_offsets) {
        set_offsets(col::groups{}, group_offsets);
    }

    std::int64_t tokens() const { return token_offsets_.back(); }
    std::int64_t sequences() const { return static_cast<std::int64_t>(token_offsets_.size()) - 1; }
    std::int64_t groups() const { return std::max<std::int64_t>(0, std::ssize(groups_) - 1); }
    std::int64_t turns() const { return std::max<std::int64_t>(0, std::ssize(turns_) - 1); }

    Offsets token_offsets() const { return token_offsets_; }

    /// The column's values: a span over tokens, turns, sequences or groups; of `width` values each where it is wide.
    template <class Column>
    auto operator[](Column column) {
        return get(*this, column);
    }
    template <class Column>
    auto operator[](Column column) const {
        return get(*this, column);
    }

    template <class Column>
    std::int64_t width(Column) const {
        return slot<Column>(*this).width;
    }
    /// Makes a column hold rows of `width` values (a state, an action, a task vector), row-major.
    template <class Column>
    void set_width(Column, std::int64_t width) {
        auto& column = slot<Column>(*this);
        column.width = width;
        if constexpr (contains_v<Column, Owned>)
            column.values.resize(static_cast<std::size_t>(count(Column{}) * width));
    }
    /// Row i of a wide column.
    template <class Column>
    auto row(Column column, std::int64_t i) {
        auto width = static_cast<std::size_t>(this->width(column));
        return (*this)[column].subspan(static_cast<std::size_t>(i) * width, width);
    }

    /// How many of its extent there are.
    template <class Column>
    std::int64_t count(Column) const {
        if constexpr (Column::kind == Kind::offsets)
            return std::ssize(offsets_of<Column>(*this));
        else if constexpr (Column::extent == Extent::token)
            return tokens();
        else if constexpr (Column::extent == Extent::turn)
            return turns();
        else if constexpr (Column::extent == Extent::sequence)
            return sequences();
        else if constexpr (Column::extent == Extent::group)
            return groups();
        else
            return 1;
    }

    /// Sets the offsets of groups into sequences, of turns into tokens, or of sequences into turns.
    template <class Column>
    void set_offsets(Column, Offsets offsets) {
        static_assert(Column::kind == Kind::offsets);
        check_offsets(offsets, Column::name);
        auto& own = offsets_of<Column>(*this);
        own.assign(offsets.begin(), offsets.end());
        if constexpr (std::is_same_v<Column, col::groups>) {
            check_end(own, Column::name, "sequences", sequences());
        } else if constexpr (std::is_same_v<Column, col::turns>) {
            check_end(own, Column::name, "tokens", tokens());
        } else {
            check_end(own, Column::name, "turns", turns());
            expect(own.size() == token_offsets_.size(), [&] {
                return "turn_owner: has " + std::to_string(own.size()) + " offsets, expected " +
                       std::to_string(token_offsets_.size()) + ", those of the sequences";
            });
            for (std::size_t i = 0; i < own.size(); ++i)
                expect(at(turns_, own[i]) == token_offsets_[i], [&] {
                    return "turn_owner: the turns of sequence " + std::to_string(i) + " begin at token " +
                           std::to_string(at(turns_, own[i])) + ", expected its own first token, " +
                           std::to_string(token_offsets_[i]);
                });
        }
        size_owned(Owned{});
    }

    /// The same batch with `column` in the caller's memory, which must outlive it: `width` values for each of its
    /// extent. What is const is only read.
    template <class Column, class Values>
    auto borrow(Column column, Values&& values, std::int64_t width = 1) && {
        static_assert(!has<Column>, "roars: this column is in the batch already");
        std::span span(std::forward<Values>(values));
        using Value = typename decltype(span)::element_type;
        static_assert(
            std::is_same_v<std::remove_const_t<Value>, value_of<Column, Real>>,
            "roars: borrowed values must be of the column's own type: the batch's real type, int32 for indices");
        expect(std::ssize(span) == count(column) * width, [&] {
            return std::string(Column::name) + ": has " + std::to_string(span.size()) + " values, expected " +
                   std::to_string(count(column) * width);
        });
        using Added = detail::copy_const<Value, Column>;
        Batch<Real, Owned, unite_t<Borrowed, columns<Added>>> wider;
        wider.adopt(std::move(*this));
        static_cast<detail::BorrowedColumn<Added, Real>&>(wider.columns_) = {span, width};
        return wider;
    }
    /// The same batch with further columns of its own, zero at first.
    template <class... Column>
    auto with(columns<Column...>) && {
        Batch<Real, unite_t<Owned, minus_t<columns<Column...>, Columns>>, Borrowed> wider;
        wider.adopt(std::move(*this));
        wider.size_owned(typename decltype(wider)::Owned{});
        return wider;
    }

    /// Other sequences in the same memory: a batch that is filled again and again allocates nothing once it has been
    /// as long as it gets. Widths stay; what the columns hold is not said. Groups and turns are gone.
    void reshape(Offsets token_offsets) {
        static_assert(Borrowed::size == 0, "a borrowed column cannot grow");
        check_offsets(token_offsets, "token_offsets");
        token_offsets_.assign(token_offsets.begin(), token_offsets.end());
        groups_.clear();
        turns_.clear();
        turn_owner_.clear();
        size_owned(Owned{});
    }
    /// One sequence of these tokens of `from`, in their order: what belongs to tokens is copied, everything else is
    /// left as it is made.
    void gather_tokens(const Batch& from, std::span<const std::int64_t> tokens) {
        const std::int64_t whole[] = {0, std::ssize(tokens)};
        reshape(whole);
        auto one = [&]<class C>(C column) {
            if constexpr (C::extent == Extent::token && C::kind != Kind::offsets) {
                const std::int64_t width = from.width(column);
                if (this->width(column) != width) set_width(column, width);
                auto source = from[column];
                auto target = (*this)[column].begin();
                for (std::int64_t token : tokens) {
                    auto first = source.begin() + token * width;
                    target = std::copy(first, first + width, target);
                }
            }
        };
        [&]<class... Column>(columns<Column...>) { (one(Column{}), ...); }(Owned{});
    }

    /// Puts the sequences of `other` behind ours; groups stay groups. The same columns, all owned.
    void append(const Batch& other) {
        static_assert(Borrowed::size == 0, "a borrowed column cannot grow");
        if (&other == this) return append(Batch(other));
        auto shift = [](std::vector<std::int64_t>& ours, const std::vector<std::int64_t>& theirs) {
            if (theirs.empty()) return;
            if (ours.empty()) ours.push_back(0);
            std::int64_t base = ours.back();
            for (std::size_t i = 1; i < theirs.size(); ++i) ours.push_back(base + theirs[i]);
        };
        append_columns(other, Owned{});
        shift(token_offsets_, other.token_offsets_);
        shift(groups_, other.groups_);
        shift(turns_, other.turns_);
        shift(turn_owner_, other.turn_owner_);
    }

    /// The groups whose flag is set, in order. Columns of turns need turn_owner.
    Batch select_groups(std::span<const char> keep) const {
        expect(std::ssize(keep) == groups(), [&] {
            return "select_groups: " + std::to_string(keep.size()) + " flags, expected one for each of " +
                   std::to_string(groups()) + " groups";
        });
        Batch kept;
        for (std::int64_t g = 0; g < groups(); ++g)
            if (keep[static_cast<std::size_t>(g)]) kept.append(slice_groups(g, g + 1));
        return kept;
    }
    /// Groups [first, last).
    Batch slice_groups(std::int64_t first, std::int64_t last) const {
        check_range("slice_groups", first, last, groups());
        Batch piece = slice_sequences(at(groups_, first), at(groups_, last));
        piece.groups_ = rebased(groups_, first, last);
        piece.copy_columns(*this, Extent::group, first, last);
        return piece;
    }
    /// What a batch may be cut into without tearing anything: groups where it has them, else sequences.
    std::int64_t units() const { return has<col::groups> ? groups() : sequences(); }
    Batch slice_units(std::int64_t first, std::int64_t last) const {
        if constexpr (has<col::groups>)
            return slice_groups(first, last);
        else
            return slice_sequences(first, last);
    }
    /// Sequences [first, last), as a batch without groups.
    Batch slice_sequences(std::int64_t first, std::int64_t last) const {
        check_range("slice_sequences", first, last, sequences());
        Batch piece;
        piece.token_offsets_ = rebased(token_offsets_, first, last);
        piece.copy_columns(*this, Extent::sequence, first, last);
        piece.copy_columns(*this, Extent::token, at(token_offsets_, first), at(token_offsets_, last));
        if (!turn_owner_.empty()) {
            piece.turn_owner_ = rebased(turn_owner_, first, last);
            piece.turns_ = rebased(turns_, at(turn_owner_, first), at(turn_owner_, last));
            piece.copy_columns(*this, Extent::turn, at(turn_owner_, first), at(turn_owner_, last));
        }
        return piece;
    }

private:
    template <class, class, class>
    friend class Batch;

    static std::int64_t at(const std::vector<std::int64_t>& offsets, std::int64_t i) {
        return offsets[static_cast<std::size_t>(i)];
    }

    static void check_offsets(Offsets offsets, std::string_view name) {
        expect(!offsets.empty() && offsets.front() == 0,
               [&] { return std::string(name) + ": expected a first offset of 0"; });
        for (std::size_t i = 1; i < offsets.size(); ++i)
            expect(offsets[i] >= offsets[i - 1], [&] {
                return std::string(name) + ": offset " + std::to_string(i) + " is " + std::to_string(offsets[i]) +
                       ", expected at least the one before it, " + std::to_string(offsets[i - 1]);
            });
    }

    static void check_end(Offsets offsets, std::string_view name, const char* what, std::int64_t count) {
        expect(offsets.back() == count, [&] {
            return std::string(name) + ": the last offset is " + std::to_string(offsets.back()) +
                   ", expected the number of " + what + ", " + std::to_string(count);
        });
    }
    static void check_range(const char* where, std::int64_t first, std::int64_t last, std::int64_t count) {
        expect(0 <= first && first <= last && last <= count, [&] {
            return std::string(where) + ": [" + std::to_string(first) + ", " + std::to_string(last) +
                   "), expected a range within [0, " + std::to_string(count) + ")";
        });
    }

    static std::vector<std::int64_t> rebased(const std::vector<std::int64_t>& offsets, std::int64_t first,
                                             std::int64_t last) {
        std::vector<std::int64_t> piece(offsets.begin() + first, offsets.begin() + last + 1);
        std::int64_t base = piece.front();
        for (auto& offset : piece) offset -= base;
        return piece;
    }

    template <class Column, class Self>
    static auto& slot(Self& self) {
        if constexpr (contains_v<Column, Owned>) {
            return static_cast<detail::copy_const<Self, detail::OwnedColumn<Column, Real>>&>(self.columns_);
        } else if constexpr (contains_v<const Column, Borrowed>) {
            return static_cast<detail::copy_const<Self, detail::BorrowedColumn<const Column, Real>>&>(self.columns_);
        } else {
            static_assert(std::conditional_t<has<Column>, std::true_type, column_is_not_in_this_batch<Column>>::value);
            return static_cast<detail::copy_const<Self, detail::BorrowedColumn<Column, Real>>&>(self.columns_);
        }
    }

    template <class Column, class Self>
    static auto& offsets_of(Self& self) {
        if constexpr (std::is_same_v<Column, col::groups>)
            return self.groups_;
        else if constexpr (std::is_same_v<Column, col::turns>)
            return self.turns_;
        else
            return self.turn_owner_;
    }

    template <class Self, class Column>
    static auto get(Self& self, Column) {
        static_assert(std::conditional_t<has<Column>, std::true_type, column_is_not_in_this_batch<Column>>::value);
        if constexpr (Column::kind == Kind::offsets) {
            return Offsets(offsets_of<Column>(self));
        } else {
            return slot<Column>(self).span();
        }
    }

    template <class... Column>
    void size_owned(columns<Column...>) {
        (size_one<Column>(), ...);
    }
    template <class Column>
    void size_one() {
        if constexpr (Column::kind != Kind::offsets) {
            auto& column = slot<Column>(*this);
            column.values.resize(static_cast<std::size_t>(count(Column{}) * column.width));
        }
    }

    template <class OtherBatch>
    void adopt(OtherBatch&& other) {
        token_offsets_ = std::move(other.token_offsets_);
        groups_ = std::move(other.groups_);
        turns_ = std::move(other.turns_);
        turn_owner_ = std::move(other.turn_owner_);
        adopt_columns(other, typename std::remove_cvref_t<OtherBatch>::Columns{});
    }
    template <class OtherBatch, class... Column>
    void adopt_columns(OtherBatch& other, columns<Column...>) {
        ((slot<Column>(*this) = std::move(OtherBatch::template slot<Column>(other))), ...);
    }

    template <class... Column>
    void append_columns(const Batch& other, columns<Column...>) {
        auto one = [&]<class C>(C) {
            if constexpr (C::kind != Kind::offsets) {
                auto& ours = slot<C>(*this);
                const auto& theirs = slot<C>(other);
                if (theirs.values.empty()) return;
                if (ours.values.empty()) ours.width = theirs.width;
                expect(ours.width == theirs.width, [&] {
                    return std::string(C::name) + ": rows of " + std::to_string(theirs.width) +
                           " values cannot be put behind rows of " + std::to_string(ours.width);
                });
                ours.values.insert(ours.values.end(), theirs.values.begin(), theirs.values.end());
            }
        };
        (one(Column{}), ...);
    }

    void copy_columns(const Batch& from, Extent extent, std::int64_t first, std::int64_t last) {
        auto one = [&]<class C>(C) {
            if constexpr (C::kind != Kind::offsets) {
                if (C::extent != extent) return;
                auto& ours = slot<C>(*this);
                const auto& theirs = slot<C>(from);
                ours.width = theirs.width;
                auto begin = static_cast<std::size_t>(first * theirs.width);
                auto rows = theirs.span().subspan(begin, static_cast<std::size_t>(last * theirs.width) - begin);
                if constexpr (contains_v<C, Owned>)
                    ours.values.assign(rows.begin(), rows.end());
                else
                    ours.values = rows;
            }
        };
        [&]<class... Column>(columns<Column...>) { (one(Column{}), ...); }(Columns{});
    }

    std::vector<std::int64_t> token_offsets_, groups_, turns_, turn_owner_;
    detail::ColumnTuple<Real, Owned, Borrowed> columns_;
};

/// A batch in the caller's memory: `view<float>(token_offsets, groups).borrow(col::logp{}, logp)...`.
template <class Real>
auto view(Offsets token_offsets) {
    return Batch<Real, columns<>>(token_offsets);
}
template <class Real>
auto view(Offsets token_offsets, Offsets group_offsets) {
    return Batch<Real, columns<col::groups>>(token_offsets, group_offsets);
}

namespace detail {
template <class BatchType, class... Column>
concept has_all = (std::remove_cvref_t<BatchType>::template has<Column> && ...);
}

/// A batch that has these columns.
template <class B, class... Column>
concept BatchWith = requires {
    typename std::remove_cvref_t<B>::Columns;
}
&&detail::has_all<B, Column...>;

}  // namespace roars
