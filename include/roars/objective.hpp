#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "roars/backend.hpp"
#include "roars/batch.hpp"
#include "roars/simd.hpp"
#include "roars/term.hpp"

namespace roars {

/// What a loss is divided by, counted over the WHOLE batch. Counts of micro-batches add up, so that cutting a batch
/// changes neither the loss nor a gradient.
struct Counts {
    std::int64_t tokens = 0;          ///< trainable tokens
    std::int64_t sequences = 0;       ///< all sequences
    std::int64_t live_sequences = 0;  ///< sequences with at least one trainable token
    std::int64_t groups = 0;

    Counts& operator+=(const Counts& other) {
        tokens += other.tokens;
        sequences += other.sequences;
        live_sequences += other.live_sequences;
        groups += other.groups;
        return *this;
    }
    friend Counts operator+(Counts a, const Counts& b) { return a += b; }
};

/// How token losses become one number: a weight for every token of a sequence of `length` trainable tokens.
template <class A>
concept Aggregation = requires(const A& aggregate, const Counts& counts, std::int64_t length) {
    { A::per_sequence } -> std::convertible_to<bool>;  ///< false: the weight is the same for the whole batch
    { aggregate.weight(counts, length) } -> std::convertible_to<double>;
};

/// A term with the aggregation that weighs it.
template <LossTerm Term_, Aggregation Aggregate_>
struct Weighed {
    using Term = Term_;
    using Aggregate = Aggregate_;
    Term term;
    Aggregate aggregate;
};
template <class Term, class Aggregate>
Weighed(Term, Aggregate) -> Weighed<Term, Aggregate>;

/// Loss and metrics of a pass. Sums, so that those of micro-batches add up.
template <class... Term>
struct Result {
    static constexpr std::size_t terms = sizeof...(Term);
    static constexpr std::size_t measured = (metrics_of<Term>.size() + ... + 0);

    std::array<double, terms> term_loss{};
    std::array<double, measured> metric_sum{};
    std::int64_t tokens = 0;                       ///< tokens that the first term counts
    std::array<std::int64_t, terms> own_tokens{};  ///< of a term whose mask is another than the first one's

    double loss() const {
        double sum = 0;
        for (double part : term_loss) sum += part;
        return sum;
    }
    /// Mean over the tokens that the metric's term counts; 0 where there are none, NaN without such a metric.
    double metric(std::string_view name) const {
        double found = std::nan("");
        for_each([&](std::string_view each, double mean) {
            if (each == name) found = mean;
        });
        return found;
    }
    /// The number of those tokens; 0 without such a metric.
    std::int64_t count(std::string_view name) const {
        std::int64_t found = 0;
        for_each_counted([&](std::string_view each, double, std::int64_t count) {
            if (each == name) found = count;
        });
        return found;
    }
    /// Calls visit(name, value) for the loss of each term and for each metric.
    template <class Visit>
    void for_each(Visit&& visit) const {
        for_each_counted([&](std::string_view name, double value, std::int64_t) { visit(name, value); });
    }
    Result& operator+=(const Result& other) {
        for (std::size_t i = 0; i < terms; ++i) term_loss[i] += other.term_loss[i];
        for (std::size_t i = 0; i < measured; ++i) metric_sum[i] += other.metric_sum[i];
        tokens += other.tokens;
        for (std::size_t i = 0; i < terms; ++i) own_tokens[i] += other.own_tokens[i];
        return *this;
    }

private:
    using first_mask = std::tuple_element_t<0, std::tuple<mask_of<Term>..., col::mask>>;

    template <class Visit>
    void for_each_counted(Visit&& visit) const {
        [[maybe_unused]] std::size_t k = 0, m = 0;
        [[maybe_unused]] auto one = [&]<class T>(std::type_identity<T>) {
            std::int64_t count = std::is_same_v<mask_of<T>, first_mask> ? tokens : own_tokens[k];
            visit(T::name, term_loss[k++], count);
            for (std::string_view name : metrics_of<T>)
                visit(name, count ? metric_sum[m] / double(count) : 0.0, count), ++m;
        };
        (one(std::type_identity<Term>{}), ...);
    }
};

namespace detail {

template <class... Term>
using columns_of_terms = unite_t<needs_of<Term>..., typename Term::differentiates..., columns<mask_of<Term>...>>;

/// Of a list of terms those that are walked in lanes, or those that are walked by rows.
template <bool by_rows, class... Term>
using columns_of_kind = unite_t<std::conditional_t<RowTerm<Term> == by_rows, columns_of_terms<Term>, columns<>>...>;
template <bool by_rows, class... Term>
using slopes_of_kind =
    unite_t<std::conditional_t<RowTerm<Term> == by_rows, typename Term::differentiates, columns<>>...>;
template <class Term>
struct rows_of {
    using type = columns<>;
};
template <RowTerm Term>
struct rows_of<Term> {
    using type = typename Term::rows;
};

template <class Column, class BatchType>
bool trainable(const BatchType& batch, std::int64_t token) {
    if constexpr (BatchType::template has<Column>)
        return batch[Column{}][static_cast<std::size_t>(token)] != typename BatchType::Real(0);
    else
        return true;
}

/// Trainable tokens of each sequence.
template <class Mask, class BatchType>
std::vector<std::int64_t> trainable_lengths(backend::Host& backend, const BatchType& batch) {
    std::vector<std::int64_t> lengths(static_cast<std::size_t>(batch.sequences()));
    Offsets offsets = batch.token_offsets();
    parallel_pieces(backend, batch.sequences(), [&](std::int64_t, std::int64_t first, std::int64_t last) {
        for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i) {
            if constexpr (BatchType::template has<Mask>) {
                const auto* mask = batch[Mask{}].data();
                std::int64_t length = 0;
                for (std::int64_t t = offsets[i]; t < offsets[i + 1]; ++t) length += mask[t] != 0;
                lengths[i] = length;
            } else {
                lengths[i] = offsets[i + 1] - offsets[i];
            }
        }
    });
    return lengths;
}

[[noreturn]] inline void throw_not_finite(std::string_view column, std::int64_t token, std::int64_t sequence,
                                          double value) {
    throw Error(std::string(column) + " of token " + std::to_string(token) + " (sequence " + std::to_string(sequence) +
                ") is " +
                (std::isnan(value) ? "nan"
                 : value > 0       ? "inf"
                                   : "-inf") +
                ", expected a finite number at a trainable token");
}

}  // namespace detail

/// Counts of a batch, by the mask of the objective.
template <class Mask = col::mask, class BatchType>
Counts count(backend::Host& backend, const BatchType& batch) {
    Counts counts;
    counts.sequences = batch.sequences();
    counts.groups = batch.groups();
    for (std::int64_t length : detail::trainable_lengths<Mask>(backend, batch)) {
        counts.tokens += length;
        counts.live_sequences += length > 0;
    }
    return counts;
}

namespace detail {

/// A term reads real columns of tokens and of sequences only. Incomplete, so that the compiler's message names the
/// column.
template <class Column>
struct column_that_no_term_can_read;
template <class... Column>
constexpr bool terms_can_read(columns<Column...>) {
    return (std::conditional_t < Column::kind == Kind::real &&
                (Column::extent == Extent::token || Column::extent == Extent::sequence),
            std::true_type, column_that_no_term_can_read < Column >> ::value && ...);
}

/// A term in lanes reads one number of a column. Errors: a column that holds rows.
template <class BatchType, class... Column>
void check_widths(const BatchType& batch, columns<Column...>) {
    (expect(batch.width(Column{}) == 1,
            [&] {
                return std::string(Column::name) + ": has rows of " + std::to_string(batch.width(Column{})) +
                       " values, expected one number each for a term of the loss";
            }),
     ...);
}

/// Errors: settings by which not even the only token of a batch has a finite weight (a length of 0).
template <class Aggregate>
void check_aggregate(Aggregate aggregate) {
    expect(std::isfinite(aggregate.weight(Counts{1, 1, 1, 1}, 1)),
           "aggregate: the weight of a token is not finite, expected max_length or normalizer other than 0");
}

/// One pass over a batch for a fixed list of terms. Tokens are walked in blocks that fit the first-level cache: values
/// of sequences (and weights that differ by sequence) are spread over the block's tokens first, then everything is a
/// flat loop over lanes. The lanes are in its name: files of one program may be compiled for different ones.
template <class V, class BatchType, class... Entry>
class ObjectivePass {
    using Real = typename BatchType::Real;
    static constexpr std::int64_t lanes = math::lanes<V>;
    static constexpr std::int64_t block = 1024;
    static constexpr std::size_t terms = sizeof...(Entry);

    using Masks = unite_t<columns<mask_of<typename Entry::Term>>...>;
    using All = columns_of_terms<typename Entry::Term...>;
    /// A mask that the batch has not got means that every token counts.
    using Absent = minus_t<common_t<All, Masks>, typename BatchType::Columns>;
    using ReadByAny = minus_t<All, Absent>;
    using Rows = unite_t<typename rows_of<typename Entry::Term>::type...>;
    static constexpr bool any_in_lanes = (!RowTerm<typename Entry::Term> || ...);
    static constexpr bool any_by_rows = (RowTerm<typename Entry::Term> || ...);
    // What the walk in lanes loads and stores.
    using Wanted = columns_of_kind<false, typename Entry::Term...>;
    using Read = minus_t<Wanted, Absent>;
    using Slopes = slopes_of_kind<false, typename Entry::Term...>;
    /// Slopes that rows alone write: nobody has set them before.
    using RowSlopes = minus_t<slopes_of_kind<true, typename Entry::Term...>, Slopes>;
    static_assert(terms_can_read(All{}));

public:
    using Sum = Result<typename Entry::Term...>;

    ObjectivePass(backend::Host& backend, BatchType& batch, const std::array<Counts, terms>& counts,
                  const Entry&... entry)
        : backend_(backend), batch_(batch), counts_(counts), term_(entry...) {
        (check_aggregate(entry.aggregate), ...);
        check_widths(batch_, minus_t<ReadByAny, Rows>{});
        widen_gradients(common_t<Rows, unite_t<Slopes, RowSlopes>>{});
        if constexpr (any_per_sequence) find_lengths(std::index_sequence_for<Entry...>{});
    }

    /// `together` tokens at a time; before(begin, end) fills columns of theirs that come from elsewhere, after(begin,
    /// end) finds their gradients: what both of them touch is then in the cache.
    template <class Before, class After>
    Sum run(std::int64_t together, Before&& before, After&& after) {
        std::int64_t tokens = batch_.tokens(), pieces = (tokens + together - 1) / together;
        std::vector<Sum> partial(static_cast<std::size_t>(pieces));
        std::vector<char> bad(partial.size());
        parallel_for(backend_, pieces, [&](std::int64_t piece) {
            auto p = static_cast<std::size_t>(piece);
            std::int64_t begin = piece * together, end = std::min(tokens, begin + together);
            before(begin, end);
            bad[p] = !Piece(*this, partial[p]).walk(begin, end);
            after(begin, end);
        });
        Sum sum;
        for (std::size_t p = 0; p < partial.size(); ++p) {
            if (bad[p]) explain(ReadByAny{});
            sum += partial[p];
        }
        return sum;
    }
    /// The pieces [pieces[p], pieces[p + 1]) one after another, for work around them that is itself in parallel.
    template <class Before, class After>
    Sum run_in_order(Offsets pieces, Before&& before, After&& after) {
        Sum sum;
        for (std::size_t p = 0; p + 1 < pieces.size(); ++p) {
            Sum part;
            before(pieces[p], pieces[p + 1]);
            if (!Piece(*this, part).walk(pieces[p], pieces[p + 1])) explain(Read{});
            after(pieces[p], pieces[p + 1]);
            sum += part;
        }
        return sum;
    }
    Sum run() {
        auto nothing = [](std::int64_t, std::int64_t) {};
        return run(backend_.grain, nothing, nothing);
    }

private:
    static constexpr bool any_per_sequence = (Entry::Aggregate::per_sequence || ...);
    template <class... Column>
    static constexpr bool any_sequence_column(columns<Column...>) {
        return ((Column::extent == Extent::sequence) || ...);
    }
    static constexpr bool walks_sequences = any_per_sequence || any_sequence_column(ReadByAny{});

    /// A gradient has rows like its column.
    template <class... Column>
    void widen_gradients(columns<Column...>) {
        [[maybe_unused]] auto one = [&]<class C>(C) {
            using Gradient = col::grad<C>;
            if constexpr (BatchType::template has<Gradient>) {
                if (batch_.width(Gradient{}) == batch_.width(C{})) return;
                if constexpr (contains_v<Gradient, typename BatchType::Owned>)
                    batch_.set_width(Gradient{}, batch_.width(C{}));
                else
                    throw Error("the gradient of " + std::string(C::name) + ": has rows of " +
                                std::to_string(batch_.width(Gradient{})) + " values, expected " +
                                std::to_string(batch_.width(C{})));
            }
        };
        (one(Column{}), ...);
    }
    template <std::size_t... k>
    void find_lengths(std::index_sequence<k...>) {
        ((lengths_[k] =
              same_mask_as_first<k> ? std::vector<std::int64_t>{} : trainable_lengths<mask_at<k>>(backend_, batch_)),
         ...);
    }
    template <std::size_t k>
    using term_at = typename std::tuple_element_t<k, std::tuple<Entry...>>::Term;
    template <std::size_t k>
    using mask_at = mask_of<term_at<k>>;
    template <std::size_t k>
    static constexpr bool same_mask_as_first = k > 0 && std::is_same_v<mask_at<k>, mask_at<0>>;
    template <std::size_t k>
    const std::vector<std::int64_t>& lengths() const {
        return lengths_[same_mask_as_first<k> ? 0 : k];
    }

    /// Where the lanes of the block come from: a column's tokens, or a buffer that was filled for the block.
    template <class Column>
    struct Source {
        const Real* from = nullptr;
    };
    template <class Set>
    struct Sources;
    template <class... Column>
    struct Sources<columns<Column...>> : Source<Column>... {};
    template <class Column>
    struct Buffer {
        alignas(64) std::array<Real, Column::extent == Extent::sequence ? block : lanes> values{};
    };
    template <class Set>
    struct Buffers;
    template <class... Column>
    struct Buffers<columns<Column...>> : Buffer<Column>... {};

    /// What the loop over a block works with, a local variable of its own: a gradient that is stored is then seen to
    /// change none of it, and all of it stays in registers.
    struct Loop {
        std::tuple<Entry...> entry;
        std::array<V, terms> constant{};
        std::array<const Real*, terms> weight{};
        Sources<Read> source{};
        std::array<Real*, Slopes::size> gradient{};
        std::array<V, terms> loss{};
        std::array<V, Sum::measured> metric{};
        V tokens{}, not_finite{};
        std::array<V, terms> own_tokens{};
    };

    class Piece {
    public:
        Piece(ObjectivePass& pass, Sum& sum) : pass_(pass), sum_(sum) {}

        /// False if a value at a trainable token is not finite.
        bool walk(std::int64_t begin, std::int64_t end) {
            for (std::int64_t first = begin; first < end; first += block) {
                std::int64_t size = std::min(block, end - first);
                if constexpr (walks_sequences) spread(first, size);
                if constexpr (any_in_lanes) walk_block(first, size);
                if constexpr (any_by_rows) walk_rows(first, size, RowSlopes{}, index{});
            }
            return std::isfinite(finite_);
        }

    private:
        using index = std::index_sequence_for<Entry...>;

        void walk_block(std::int64_t first, std::int64_t size) {
            Loop placed{pass_.entries(index{})};
            place(placed, first, Read{});
            place_weights(placed, index{});
            place_gradients(placed, first, Slopes{});
            placed.loss.fill(V(Real(0)));
            placed.metric.fill(V(Real(0)));
            placed.tokens = placed.not_finite = V(Real(0));
            placed.own_tokens.fill(V(Real(0)));
            Loop loop = placed;  // a copy, and one again below: nobody but the loop has its address
            std::int64_t i = 0;
            for (; i + lanes <= size; i += lanes) lane_step(loop, i, lanes);
            if (i < size) lane_step(loop, i, size - i);
            Loop done = loop;
            flush(done);
        }

        /// The row terms, token by token, behind the terms in lanes, whose gradients they add to.
        template <class... Column, std::size_t... k>
        void walk_rows(std::int64_t first, std::int64_t size, columns<Column...>, std::index_sequence<k...>) {
            [[maybe_unused]] auto clear = [&]<class C>(C) {
                if constexpr (BatchType::template has<col::grad<C>>) {
                    std::int64_t width = pass_.batch_.width(col::grad<C>{});
                    Real* to = pass_.batch_[col::grad<C>{}].data();
                    std::fill(to + first * width, to + (first + size) * width, Real(0));
                }
            };
            (clear(Column{}), ...);
            (walk_rows_of<k>(first, size), ...);
        }
        template <std::size_t k>
        void walk_rows_of(std::int64_t first, std::int64_t size) {
            const auto& weighed = std::get<k>(pass_.term_);
            using Weighed_ = std::remove_cvref_t<decltype(weighed)>;
            using T = typename Weighed_::Term;
            if constexpr (RowTerm<T>) {
                using Needs = needs_of<T>;
                using Differentiates = typename T::differentiates;
                scratch_.resize(scratch_size(Differentiates{}));
                double constant = 0;
                if constexpr (!Weighed_::Aggregate::per_sequence)
                    constant = weighed.aggregate.weight(pass_.counts_[k], 0);
                for (std::int64_t i = 0; i < size; ++i) {
                    if (!trainable<mask_of<T>>(pass_.batch_, first + i)) continue;
                    auto x = row_of<typename T::rows>(first, i, Needs{});
                    check_row_finite(x, Needs{});
                    std::fill(scratch_.begin(), scratch_.end(), Real(0));
                    auto slope = slope_row<typename T::rows>(Differentiates{});
                    auto said = weighed.term.row(x, slope);
                    double weight = constant;
                    if constexpr (Weighed_::Aggregate::per_sequence)
                        weight = double(weight_[k][static_cast<std::size_t>(i)]);
                    sum_.term_loss[k] += weight * said.loss;
                    if constexpr (metrics_of<T>.size() > 0)
                        for (std::size_t m = 0; m < metrics_of<T>.size(); ++m)
                            sum_.metric_sum[first_metric<k> + m] += said.metric[m];
                    if constexpr (k == 0) ++sum_.tokens;
                    if constexpr (k > 0 && !same_mask_as_first<k>) ++sum_.own_tokens[k];
                    add_row_slopes(slope, first + i, weight, Differentiates{});
                }
            }
        }
        template <class... Column>
        std::size_t scratch_size(columns<Column...>) const {
            return static_cast<std::size_t>((pass_.batch_.width(Column{}) + ... + 0));
        }
        template <class RowsOfTerm, class... Column>
        auto row_of(std::int64_t first, std::int64_t i, columns<Column...>) {
            auto one = [&]<class C>(C) -> RowCell<const Real, C> {
                if constexpr (C::extent == Extent::sequence)
                    return {static_cast<Buffer<C>&>(buffer_).values.data() + i, 1};
                else {
                    std::int64_t width = pass_.batch_.width(C{});
                    return {pass_.batch_[C{}].data() + (first + i) * width, static_cast<std::size_t>(width)};
                }
            };
            return TokenRow<const Real, RowsOfTerm, columns<Column...>>{one(Column{})...};
        }
        template <class RowsOfTerm, class... Column>
        auto slope_row(columns<Column...>) {
            Real* at = scratch_.data();
            auto one = [&]<class C>(C) -> RowCell<Real, C> {
                auto width = static_cast<std::size_t>(pass_.batch_.width(C{}));
                RowCell<Real, C> cell{at, width};
                at += width;
                return cell;
            };
            return TokenRow<Real, RowsOfTerm, columns<Column...>>{one(Column{})...};
        }
        template <class X, class... Column>
        void check_row_finite(const X& x, columns<Column...>) {
            auto one = [&]<class C>(C) {
                const auto& cell = static_cast<const RowCell<const Real, C>&>(x);
                double all = 0;
                for (std::size_t j = 0; j < cell.width; ++j) all += 0.0 * double(cell.values[j]);
                finite_ += all;
            };
            (one(Column{}), ...);
        }
        template <class Slope, class... Column>
        void add_row_slopes(const Slope& slope, std::int64_t token, double weight, columns<Column...>) {
            auto one = [&]<class C>(C) {
                if constexpr (BatchType::template has<col::grad<C>>) {
                    const auto& cell = static_cast<const RowCell<Real, C>&>(slope);
                    Real* to = pass_.batch_[col::grad<C>{}].data() + token * std::int64_t(cell.width);
                    for (std::size_t j = 0; j < cell.width; ++j)
                        to[j] += static_cast<Real>(weight * double(cell.values[j]));
                }
            };
            (one(Column{}), ...);
        }

        /// Fills the block's buffers with what belongs to whole sequences.
        void spread(std::int64_t first, std::int64_t size) {
            Offsets offsets = pass_.batch_.token_offsets();
            auto sequence =
                static_cast<std::size_t>(std::upper_bound(offsets.begin(), offsets.end(), first) - offsets.begin() - 1);
            for (std::int64_t i = 0; i < size; ++sequence) {
                std::int64_t stop = std::min(size, offsets[sequence + 1] - first);
                if (stop <= i) continue;
                spread_columns(sequence, i, stop, ReadByAny{});
                spread_weights(sequence, i, stop, index{});
                i = stop;
            }
        }
        template <class... Column>
        void spread_columns(std::size_t sequence, std::int64_t begin, std::int64_t end, columns<Column...>) {
            auto one = [&]<class C>(C) {
                if constexpr (C::extent == Extent::sequence) {
                    auto& buffer = static_cast<Buffer<C>&>(buffer_).values;
                    std::fill(buffer.begin() + begin, buffer.begin() + end, pass_.batch_[C{}][sequence]);
                }
            };
            (one(Column{}), ...);
        }
        template <std::size_t... k>
        void spread_weights(std::size_t sequence, std::int64_t begin, std::int64_t end, std::index_sequence<k...>) {
            auto one = [&]<std::size_t which>(std::integral_constant<std::size_t, which>) {
                const auto& term = std::get<which>(pass_.term_);
                if constexpr (std::remove_cvref_t<decltype(term)>::Aggregate::per_sequence) {
                    std::int64_t length = pass_.template lengths<which>()[sequence];
                    double weight = length > 0 ? term.aggregate.weight(pass_.counts_[which], length) : 0.0;
                    std::fill(weight_[which].begin() + begin, weight_[which].begin() + end, static_cast<Real>(weight));
                }
            };
            (one(std::integral_constant<std::size_t, k>{}), ...);
        }

        template <class... Column>
        void place(Loop& loop, std::int64_t first, columns<Column...>) {
            auto one = [&]<class C>(C) {
                if constexpr (C::extent == Extent::sequence)
                    static_cast<Source<C>&>(loop.source).from = static_cast<Buffer<C>&>(buffer_).values.data();
                else
                    static_cast<Source<C>&>(loop.source).from = pass_.batch_[C{}].data() + first;
            };
            (one(Column{}), ...);
        }
        template <std::size_t... k>
        void place_weights(Loop& loop, std::index_sequence<k...>) {
            auto one = [&](const auto& term, std::size_t which) {
                if constexpr (std::remove_cvref_t<decltype(term)>::Aggregate::per_sequence)
                    loop.weight[which] = weight_[which].data();
                else
                    loop.constant[which] = V(static_cast<Real>(term.aggregate.weight(pass_.counts_[which], 0)));
            };
            (one(std::get<k>(pass_.term_), k), ...);
        }
        template <class... Column>
        void place_gradients(Loop& loop, std::int64_t first, columns<Column...>) {
            auto one = [&]<class C>(C) {
                if constexpr (BatchType::template has<col::grad<C>>)
                    loop.gradient[position<C>] = pass_.batch_[col::grad<C>{}].data() + first;
            };
            (one(Column{}), ...);
        }

        /// `used` tokens from `i` on. A last, partial step reads through buffers filled up with zeros.
        static ROARS_INLINE void lane_step(Loop& loop, std::int64_t i, std::int64_t used) {
            auto token = gather(loop, i, used, Wanted{});
            std::array<V, Slopes::size> slope;
            slope.fill(V(Real(0)));
            add_terms(loop, token, i, slope, index{});
            store(loop, i, used, slope, Slopes{});
        }

        template <class... Column>
        static ROARS_INLINE auto gather(const Loop& loop, std::int64_t i, std::int64_t used, columns<Column...>) {
            return Token<V, columns<Column...>>{{load<Column>(loop, i, used)}...};
        }
        template <class C>
        static ROARS_INLINE V load(const Loop& loop, std::int64_t i, std::int64_t used) {
            if constexpr (contains_v<C, Absent>) {
                return used == lanes ? V(Real(1)) : math::first_ones<V>(used);
            } else {
                const Real* from = static_cast<const Source<C>&>(loop.source).from + i;
                return used == lanes ? math::load<V>(from) : math::load_first<V>(from, used);
            }
        }

        template <class X, std::size_t... k>
        static ROARS_INLINE void add_terms(Loop& loop, const X& token, std::int64_t i,
                                           std::array<V, Slopes::size>& slope, std::index_sequence<k...>) {
            (add_term<k>(loop, token, i, slope), ...);
        }
        template <std::size_t k, class X>
        static ROARS_INLINE void add_term(Loop& loop, const X& token, std::int64_t i,
                                          std::array<V, Slopes::size>& slope) {
            if constexpr (!RowTerm<term_at<k>>) add_lane_term<k>(loop, token, i, slope);
        }
        template <std::size_t k, class X>
        static ROARS_INLINE void add_lane_term(Loop& loop, const X& token, std::int64_t i,
                                               std::array<V, Slopes::size>& slope) {
            const auto& weighed = std::get<k>(loop.entry);
            using T = typename std::remove_cvref_t<decltype(weighed)>::Term;
            const V zero(Real(0));
            auto counts = token[mask_of<T>{}] != zero;
            check_finite(loop, token, counts, minus_t<needs_of<T>, checked_before<k>>{});
            auto said = weighed.term.token(only(token, needs_of<T>{}));
            V weight = loop.constant[k];
            // The weights' buffer is a whole block: its end is zero or stale, and masked.
            if constexpr (std::remove_cvref_t<decltype(weighed)>::Aggregate::per_sequence)
                weight = math::load<V>(loop.weight[k] + i);
            add(loop.loss[k], counts, weight, said.loss);
            add_slopes(said.slope, counts, weight, slope, typename T::differentiates{});
            if constexpr (metrics_of<T>.size() > 0)
                for (std::size_t m = 0; m < metrics_of<T>.size(); ++m)
                    add(loop.metric[first_metric<k> + m], counts, said.metric[m]);
            if constexpr (k == 0) add(loop.tokens, counts, V(Real(1)));
            if constexpr (k > 0 && !same_mask_as_first<k>) add(loop.own_tokens[k], counts, V(Real(1)));
        }
        /// sum + x, or sum + weight x, where the token counts. The sum itself is selected: one instruction where sums
        /// have masks.
        template <class Mask>
        static ROARS_INLINE void add(V& sum, const Mask& counts, const V& x) {
            sum = math::select(counts, sum + x, sum);
        }
        template <class Mask>
        static ROARS_INLINE void add(V& sum, const Mask& counts, const V& weight, const V& x) {
            sum = math::select(counts, math::fma(weight, x, sum), sum);
        }
        template <class Slope, class Mask, class... Column>
        static ROARS_INLINE void add_slopes(const Slope& said, const Mask& counts, const V& weight,
                                            std::array<V, Slopes::size>& slope, columns<Column...>) {
            std::size_t j = 0;
            (add(slope[position<Column>], counts, weight, said[j++]), ...);
        }
        /// 0 x is 0 for a finite x, NaN for any other.
        template <class X, class Mask, class... Column>
        static ROARS_INLINE void check_finite(Loop& loop, const X& token, const Mask& counts, columns<Column...>) {
            const V zero(Real(0));
            V all = zero;
            ((all = math::fma(zero, token[Column{}], all)), ...);
            add(loop.not_finite, counts, all);
        }

        template <class... Column>
        static ROARS_INLINE void store(const Loop& loop, std::int64_t i, std::int64_t used,
                                       const std::array<V, Slopes::size>& slope, columns<Column...>) {
            auto one = [&]<class C>(C) {
                if constexpr (BatchType::template has<col::grad<C>>) {
                    Real* to = loop.gradient[position<C>] + i;
                    if (used == lanes) return math::store(to, slope[position<C>]);
                    math::store_first(to, slope[position<C>], used);
                }
            };
            (one(Column{}), ...);
        }

        /// From the real type's lanes to sums in double, once a block.
        void flush(const Loop& loop) {
            for (std::size_t k = 0; k < terms; ++k) sum_.term_loss[k] += double(math::sum(loop.loss[k]));
            for (std::size_t m = 0; m < Sum::measured; ++m) sum_.metric_sum[m] += double(math::sum(loop.metric[m]));
            sum_.tokens += static_cast<std::int64_t>(math::sum(loop.tokens));
            for (std::size_t k = 0; k < terms; ++k)
                sum_.own_tokens[k] += static_cast<std::int64_t>(math::sum(loop.own_tokens[k]));
            finite_ += double(math::sum(loop.not_finite));
        }

        /// Where the metrics of term k begin.
        template <std::size_t k>
        static constexpr std::size_t first_metric = [] {
            constexpr std::array<std::size_t, terms> sizes{metrics_of<typename Entry::Term>.size()...};
            std::size_t before = 0;
            for (std::size_t j = 0; j < k; ++j) before += sizes[j];
            return before;
        }();
        /// The columns that a term before term k has looked at, under the same mask.
        template <std::size_t k, class Indices>
        struct CheckedBefore;
        template <std::size_t k, std::size_t... j>
        struct CheckedBefore<k, std::index_sequence<j...>> {
            using type =
                unite_t<columns<>,
                        std::conditional_t<(j < k) && std::is_same_v<mask_at<j>, mask_at<k>> && !RowTerm<term_at<j>>,
                                           needs_of<term_at<j>>, columns<>>...>;
        };
        template <std::size_t k>
        using checked_before = typename CheckedBefore<k, index>::type;

        template <class Column, class... All>
        static constexpr std::size_t position_in(columns<All...>) {
            std::size_t at = 0;
            bool found = false;
            ((found = found || std::is_same_v<Column, All>, at += !found), ...);
            return at;
        }
        template <class Column>
        static constexpr std::size_t position = position_in<Column>(Slopes{});

        ObjectivePass& pass_;
        Sum& sum_;
        Buffers<ReadByAny> buffer_{};
        std::vector<Real> scratch_;
        std::array<std::array<Real, any_per_sequence ? block : 1>, terms> weight_{};
        double finite_ = 0;
    };

    template <std::size_t... k>
    std::tuple<Entry...> entries(std::index_sequence<k...>) const {
        return {std::get<k>(term_)...};
    }

    /// The pass met a value that is not finite: find the first one and say where it is. What came from outside goes
    /// before what a part made of it.
    template <class... Column>
    void explain(columns<Column...>) const {
        (explain_one<Column>(Column::origin != Origin::part), ...);
        (explain_one<Column>(Column::origin == Origin::part), ...);
    }
    template <class Column>
    void explain_one(bool asked) const {
        if (!asked || contains_v<Column, Masks>) return;
        Offsets offsets = batch_.token_offsets();
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
            for (std::int64_t t = offsets[i]; t < offsets[i + 1]; ++t) {
                if (!any_trainable(t, Masks{})) continue;
                auto at = static_cast<std::size_t>(Column::extent == Extent::sequence ? std::int64_t(i) : t);
                auto width = static_cast<std::size_t>(batch_.width(Column{}));
                for (std::size_t j = at * width; j < (at + 1) * width; ++j)
                    if (double value = double(batch_[Column{}][j]); !std::isfinite(value))
                        throw_not_finite(Column::name, t, std::int64_t(i), value);
            }
    }
    template <class... Mask>
    bool any_trainable(std::int64_t token, columns<Mask...>) const {
        return (trainable<Mask>(batch_, token) || ...);
    }

    backend::Host& backend_;
    BatchType& batch_;
    std::array<Counts, terms> counts_;
    std::tuple<const Entry&...> term_;
    std::array<std::vector<std::int64_t>, terms> lengths_;
};

/// `evaluate` with work around each piece of `together` tokens: before(begin, end), the terms, after(begin, end).
template <class BatchType, class Before, class After, class... Weighed>
auto evaluate_around(backend::Host& backend, BatchType& batch, const std::array<Counts, sizeof...(Weighed)>& counts,
                     std::int64_t together, Before&& before, After&& after, const Weighed&... term) {
    return ObjectivePass<math::Lanes<typename BatchType::Real>, BatchType, Weighed...>(backend, batch, counts, term...)
        .run(together, before, after);
}

/// The same over the given pieces, one after another.
template <class BatchType, class Before, class After, class... Weighed>
auto evaluate_in_order(backend::Host& backend, BatchType& batch, const std::array<Counts, sizeof...(Weighed)>& counts,
                       Offsets pieces, Before&& before, After&& after, const Weighed&... term) {
    return ObjectivePass<math::Lanes<typename BatchType::Real>, BatchType, Weighed...>(backend, batch, counts, term...)
        .run_in_order(pieces, before, after);
}

}  // namespace detail

/// Loss, gradients and metrics of any terms in one pass over a batch:
///     loss = sum_k sum_t weight_k(t) loss_k(t),   batch[grad<C>] = d loss / d C for every column C that a term
/// differentiates and whose gradient the batch has room for. `counts[k]` are those of the whole batch for term k, also
/// where this is a micro-batch of it. Masked tokens give exactly 0, whatever stands there; a value that is not finite
/// at a trainable token is an Error that names column and token. Sums are in double, in an order that depends on the
/// size alone.
template <class BatchType, class... Weighed>
Result<typename Weighed::Term...> evaluate(backend::Host& backend, BatchType& batch,
                                           const std::array<Counts, sizeof...(Weighed)>& counts,
                                           const Weighed&... term) {
    using V = math::Lanes<typename BatchType::Real>;
    return detail::ObjectivePass<V, BatchType, Weighed...>(backend, batch, counts, term...).run();
}

}  // namespace roars
