#pragma once

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "roars/cuda/batch.hpp"
#include "roars/cuda/everywhere.hpp"
#include "roars/cuda/segments.hpp"
#include "roars/objective.hpp"
#include "roars/pack.hpp"

/// The objective from log-probabilities on a device: any terms in one kernel, the formulas those of the host.
namespace roars::gpu {

/// What a pass says, in the device's memory: the sums of Result, and the first token with a value that is not finite.
struct Outcome {
    static constexpr std::size_t most = 48;
    double sum[most];  ///< the loss of each term, each metric, the tokens of each term with a mask of its own
    std::int64_t tokens;
    std::int64_t broken;  ///< std::numeric_limits<std::int64_t>::max() where there is none
};

namespace detail {

inline constexpr std::int64_t no_token = std::numeric_limits<std::int64_t>::max();

template <class Term>
inline constexpr std::size_t metrics_count = metrics_of<Term>.size();

/// Where in an Outcome the sums of a list of terms stand.
template <class... Term>
struct SumsOf {
    static constexpr std::size_t terms = sizeof...(Term);
    template <std::size_t k>
    using TermAt = std::tuple_element_t<k, std::tuple<Term...>>;
    /// Whether the tokens of term k are counted by themselves.
    template <std::size_t k>
    static constexpr bool has_own_mask = !std::is_same_v<mask_of<TermAt<k>>, mask_of<TermAt<0>>>;
    /// Where the metrics of term k begin.
    template <std::size_t k>
    static constexpr std::size_t first_metric = [] {
        constexpr std::array<std::size_t, terms> sizes{metrics_count<Term>...};
        std::size_t before = terms;
        for (std::size_t j = 0; j < k; ++j) before += sizes[j];
        return before;
    }();
    static constexpr std::size_t metrics = (metrics_count<Term> + ... + 0);
    template <std::size_t k>
    static constexpr std::size_t own_tokens = terms + metrics + k;
    static constexpr bool any_own_mask = (!std::is_same_v<mask_of<Term>, mask_of<TermAt<0>>> || ...);
    static constexpr std::size_t count = terms + metrics + (any_own_mask ? terms : 0);
    static_assert(count <= Outcome::most, "roars: more terms and metrics than an Outcome holds");
};

template <class Column, class... All>
constexpr std::size_t position_in(columns<All...>) {
    std::size_t at = 0;
    bool found = false;
    ((found = found || std::is_same_v<Column, All>, at += !found), ...);
    return at;
}

template <class... Column>
constexpr bool any_sequence_column(columns<Column...>) {
    return ((Column::extent == Extent::sequence) || ...);
}

/// weight[k] of every sequence, or weight[k][0] for all where the aggregation has one weight for the whole batch.
template <class Real, class... Entry>
struct Weights {
    static constexpr std::size_t terms = sizeof...(Entry);
    Pack<Entry...> entry;
    const Counts* counts;
    const std::int64_t* length[terms];
    Real* weight[terms];

    ROARS_FN void operator()(std::int64_t i) const { each(i, std::index_sequence_for<Entry...>{}); }

private:
    template <std::size_t... k>
    ROARS_FN void each(std::int64_t i, std::index_sequence<k...>) const {
        (one<k>(i), ...);
    }
    template <std::size_t k>
    ROARS_FN void one(std::int64_t i) const {
        const auto& aggregate = get<k>(entry).aggregate;
        if constexpr (std::remove_cvref_t<decltype(aggregate)>::per_sequence)
            weight[k][i] = length[k][i] > 0 ? static_cast<Real>(aggregate.weight(counts[k], length[k][i])) : Real(0);
        else if (i == 0)
            weight[k][0] = static_cast<Real>(aggregate.weight(counts[k], 0));
    }
};

/// The pass. A thread takes packets of neighbouring tokens, 16 bytes of each column; the first and the last sequence of
/// a tile are searched once. Sums are kept in Real over the thread's few tokens, in double over the block (a tree) and
/// over the blocks (FinishObjective): the order depends on the number of tokens alone.
template <class ViewType, class... Entry>
class ObjectiveKernel {
public:
    using Real = typename ViewType::Real;
    static constexpr std::size_t terms = sizeof...(Entry);
    using Places = SumsOf<typename Entry::Term...>;
    static constexpr std::size_t sums = Places::count;

    using Masks = unite_t<columns<mask_of<typename Entry::Term>>...>;
    using Wanted = roars::detail::columns_of_kind<false, typename Entry::Term...>;
    using Absent = minus_t<common_t<Wanted, Masks>, typename ViewType::Columns>;
    using Read = minus_t<Wanted, Absent>;
    using Slopes = roars::detail::slopes_of_kind<false, typename Entry::Term...>;
    static_assert(roars::detail::terms_can_read(Wanted{}));
    static constexpr bool per_sequence = (Entry::Aggregate::per_sequence || ...);
    static constexpr bool walks_sequences = per_sequence || any_sequence_column(Read{});

    static constexpr int threads = sums <= 8 ? 256 : sums <= 20 ? 128 : 64;
    static constexpr int width = packet_width<Real>;
    static constexpr int rounds = 8;
    static constexpr std::int64_t tile = std::int64_t{threads} * width * rounds;

    struct Shared {
        double sum[sums][threads];
        std::int64_t tokens[threads], broken[threads];
        std::int64_t owner[2];
    };

    ViewType view;
    Pack<Entry...> entry;
    const Real* weight[terms];
    Outcome* partial;  ///< [blocks]
    /// Whether the columns, and the gradients behind them, may be touched 16 bytes at a time.
    bool aligned[Read::size + Slopes::size + 1];

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        std::int64_t first = block.index() * tile, last = least(first + tile, view.tokens);
        Segments sequences{view.token_offsets, view.sequences, view.tokens};
        if constexpr (walks_sequences)
            block.each([&](int thread) {
                if (thread < 2) shared.owner[thread] = sequences.owner(thread == 0 ? first : last - 1);
            });
        block.each([&](int thread) {
            Sums own;
            for (int round = 0; round < rounds; ++round) {
                std::int64_t i = first + (std::int64_t{round} * threads + thread) * width;
                if (i >= last) break;
                std::int64_t owner = 0;
                if constexpr (walks_sequences) owner = sequences.owner(i, shared.owner[0], shared.owner[1] + 1);
                packet(own, i, static_cast<int>(least(width, last - i)), owner);
            }
            for (std::size_t k = 0; k < sums; ++k) shared.sum[k][thread] = static_cast<double>(own.sum[k]);
            shared.tokens[thread] = own.tokens;
            shared.broken[thread] = own.broken;
        });
        for (int half = threads / 2; half > 0; half /= 2)
            block.each([&](int thread) {
                if (thread >= half) return;
                for (std::size_t k = 0; k < sums; ++k) shared.sum[k][thread] += shared.sum[k][thread + half];
                shared.tokens[thread] += shared.tokens[thread + half];
                shared.broken[thread] = least(shared.broken[thread], shared.broken[thread + half]);
            });
        block.each([&](int thread) {
            if (thread > 0) return;
            Outcome& out = partial[block.index()];
            for (std::size_t k = 0; k < sums; ++k) out.sum[k] = shared.sum[k][0];
            out.tokens = shared.tokens[0];
            out.broken = shared.broken[0];
        });
    }

private:
    using index = std::index_sequence_for<Entry...>;

    struct Sums {
        Real sum[sums] = {};
        std::int64_t tokens = 0, broken = no_token;
    };
    template <class Column>
    struct Loaded {
        Packet<Real, width> packet;
    };
    template <class Set>
    struct LoadedColumns;
    template <class... Column>
    struct LoadedColumns<columns<Column...>> : Loaded<Column>... {};

    /// Tokens [i, i + used); the first one's sequence is `owner`.
    ROARS_FN ROARS_INLINE void packet(Sums& own, std::int64_t i, int used, std::int64_t owner) const {
        LoadedColumns<Read> loaded;
        load(loaded, i, used, Read{});
        Packet<Real, width> slope[Slopes::size > 0 ? Slopes::size : 1] = {};
        std::int64_t stop = 0;
        if constexpr (walks_sequences) stop = view.token_offsets[owner + 1];
        for (int k = 0; k < width; ++k) {
            if (k >= used) break;
            if constexpr (walks_sequences)
                while (i + k >= stop) stop = view.token_offsets[++owner + 1];
            auto token = gather(loaded, k, owner, Wanted{});
            terms_of_token(own, token, i + k, owner, k, slope, index{});
        }
        store(slope, i, used, Slopes{});
    }

    template <class... Column>
    ROARS_FN ROARS_INLINE void load(LoadedColumns<Read>& loaded, std::int64_t i, int used, columns<Column...>) const {
        auto one = [&](auto column) {
            using C = decltype(column);
            if constexpr (C::extent == Extent::token)
                static_cast<Loaded<C>&>(loaded).packet =
                    load_packet<Real, width>(view[C{}] + i, used, used == width && aligned[position_in<C>(Read{})]);
        };
        (one(Column{}), ...);
    }
    template <class... Column>
    ROARS_FN ROARS_INLINE auto gather(const LoadedColumns<Read>& loaded, int k, std::int64_t owner,
                                      columns<Column...>) const {
        return Token<Real, columns<Column...>>{{value<Column>(loaded, k, owner)}...};
    }
    template <class C>
    ROARS_FN ROARS_INLINE Real value(const LoadedColumns<Read>& loaded, int k, std::int64_t owner) const {
        if constexpr (contains_v<C, Absent>)
            return Real(1);
        else if constexpr (C::extent == Extent::sequence)
            return view[C{}][owner];
        else
            return static_cast<const Loaded<C>&>(loaded).packet.value[k];
    }
    template <class X, std::size_t... k>
    ROARS_FN ROARS_INLINE void terms_of_token(Sums& own, const X& token, std::int64_t t, std::int64_t owner, int place,
                                              Packet<Real, width>* slope, std::index_sequence<k...>) const {
        (term<k>(own, token, t, owner, place, slope), ...);
    }
    template <std::size_t k, class X>
    ROARS_FN ROARS_INLINE void term(Sums& own, const X& token, std::int64_t t, std::int64_t owner, int place,
                                    Packet<Real, width>* slope) const {
        if constexpr (!RowTerm<typename Places::template TermAt<k>>) lane_term<k>(own, token, t, owner, place, slope);
    }
    template <std::size_t k, class X>
    ROARS_FN ROARS_INLINE void lane_term(Sums& own, const X& token, std::int64_t t, std::int64_t owner, int place,
                                         Packet<Real, width>* slope) const {
        using E = std::remove_cvref_t<decltype(get<k>(entry))>;
        using T = typename E::Term;
        if (token[mask_of<T>{}] == Real(0)) return;
        if (!finite(token, needs_of<T>{})) own.broken = least(own.broken, t);
        auto said = get<k>(entry).term.token(only(token, needs_of<T>{}));
        Real factor = weight[k][E::Aggregate::per_sequence ? owner : 0];
        own.sum[k] += factor * said.loss;
        add_slopes(said.slope, factor, place, slope, typename T::differentiates{});
        if constexpr (metrics_count < T >> 0)
            for (std::size_t m = 0; m < metrics_count<T>; ++m)
                own.sum[Places::template first_metric<k> + m] += said.metric[m];
        if constexpr (k == 0) ++own.tokens;
        if constexpr (Places::template has_own_mask<k>) own.sum[Places::template own_tokens<k>] += Real(1);
    }
    template <class Slope, class... Column>
    ROARS_FN ROARS_INLINE void add_slopes(const Slope& said, Real factor, int place, Packet<Real, width>* slope,
                                          columns<Column...>) const {
        std::size_t j = 0;
        ((slope[position_in<Column>(Slopes{})].value[place] += factor * said[j++]), ...);
    }
    /// x - x is 0 for a finite x, NaN for any other.
    template <class X, class... Column>
    ROARS_FN ROARS_INLINE static bool finite(const X& token, columns<Column...>) {
        return ((token[Column{}] - token[Column{}] == Real(0)) && ...);
    }
    template <class... Column>
    ROARS_FN ROARS_INLINE void store(const Packet<Real, width>* slope, std::int64_t i, int used,
                                     columns<Column...>) const {
        auto one = [&](auto column) {
            using C = decltype(column);
            constexpr std::size_t at = position_in<C>(Slopes{});
            if constexpr (ViewType::template has<col::grad<C>>)
                store_packet(view[col::grad<C>{}] + i, slope[at], used, used == width && aligned[Read::size + at]);
        };
        (one(Column{}), ...);
    }
};

inline constexpr int row_threads = 128;

/// The pass of one term that reads whole rows: a thread takes a token. Its slopes are said in `scratch`, rows of
/// zeros, and added to the gradients, which the terms before it have written.
template <class ViewType, std::size_t k, class... Entry>
class RowKernel {
public:
    using Real = typename ViewType::Real;
    using Places = SumsOf<typename Entry::Term...>;
    using EntryType = std::tuple_element_t<k, std::tuple<Entry...>>;
    using Term = typename EntryType::Term;
    using Needs = needs_of<Term>;
    using Slopes = typename Term::differentiates;
    static constexpr std::size_t metrics = metrics_count<Term>;
    static constexpr bool per_sequence = EntryType::Aggregate::per_sequence;

    static constexpr int threads = row_threads;
    struct Shared {
        double sum[1 + metrics][threads];
        std::int64_t tokens[threads], broken[threads];
    };

    ViewType view;
    EntryType entry;
    const Real* weight;
    Real* scratch[Slopes::size];
    Outcome* partial;  ///< [blocks]

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        block.each([&](int thread) {
            for (auto& sum : shared.sum) sum[thread] = 0.0;
            shared.tokens[thread] = 0;
            shared.broken[thread] = no_token;
            std::int64_t t = block.index() * threads + thread;
            if (t < view.tokens && view.template trainable<mask_of<Term>>(t)) token(shared, thread, t);
        });
        for (auto& sum : shared.sum) reduce(block, sum, Plus{});
        reduce(block, shared.tokens, Plus{});
        reduce(block, shared.broken, Least{});
        block.each([&](int thread) {
            if (thread > 0) return;
            Outcome& out = partial[block.index()];
            for (std::size_t i = 0; i < Places::count; ++i) out.sum[i] = 0.0;
            out.sum[k] = shared.sum[0][0];
            for (std::size_t m = 0; m < metrics; ++m)
                out.sum[Places::template first_metric<k> + m] = shared.sum[1 + m][0];
            out.tokens = k == 0 ? shared.tokens[0] : 0;
            if constexpr (Places::template has_own_mask<k>)
                out.sum[Places::template own_tokens<k>] = static_cast<double>(shared.tokens[0]);
            out.broken = shared.broken[0];
        });
    }

private:
    ROARS_FN void token(Shared& shared, int thread, std::int64_t t) const {
        constexpr bool walks_sequences = per_sequence || any_sequence_column(Needs{});
        std::int64_t owner = 0;
        if constexpr (walks_sequences) owner = Segments{view.token_offsets, view.sequences, view.tokens}.owner(t);
        auto x = row_of(t, owner, Needs{});
        if (!finite(x, Needs{})) shared.broken[thread] = t;
        auto slope = slope_of(t, Slopes{});
        auto said = entry.term.row(x, slope);
        const double factor = static_cast<double>(weight[per_sequence ? owner : 0]);
        shared.sum[0][thread] = factor * said.loss;
        for (std::size_t m = 0; m < metrics; ++m) shared.sum[1 + m][thread] = said.metric[m];
        shared.tokens[thread] = 1;
        add(slope, t, factor, Slopes{});
    }
    template <class... Column>
    ROARS_FN auto row_of(std::int64_t t, std::int64_t owner, columns<Column...>) const {
        auto one = [&](auto column) {
            using C = decltype(column);
            const std::int64_t width = view.width(C{});
            return roars::detail::RowCell<const Real, C>{
                view[C{}] + (C::extent == Extent::sequence ? owner : t) * width, static_cast<std::size_t>(width)};
        };
        return TokenRow<const Real, typename Term::rows, columns<Column...>>{one(Column{})...};
    }
    template <class... Column>
    ROARS_FN auto slope_of(std::int64_t t, columns<Column...>) const {
        auto one = [&](auto column) {
            using C = decltype(column);
            const std::int64_t width = view.width(C{});
            return roars::detail::RowCell<Real, C>{scratch[position_in<C>(Slopes{})] + t * width,
                                                   static_cast<std::size_t>(width)};
        };
        return TokenRow<Real, typename Term::rows, columns<Column...>>{one(Column{})...};
    }
    template <class X, class... Column>
    ROARS_FN static bool finite(const X& x, columns<Column...>) {
        auto one = [&](auto column) {
            const auto& cell = static_cast<const roars::detail::RowCell<const Real, decltype(column)>&>(x);
            bool all = true;
            for (std::size_t j = 0; j < cell.width; ++j) all = all && cell.values[j] - cell.values[j] == Real(0);
            return all;
        };
        return (one(Column{}) && ...);
    }
    template <class Slope, class... Column>
    ROARS_FN void add(const Slope& slope, std::int64_t t, double factor, columns<Column...>) const {
        auto one = [&](auto column) {
            using C = decltype(column);
            if constexpr (ViewType::template has<col::grad<C>>) {
                const auto& cell = static_cast<const roars::detail::RowCell<Real, C>&>(slope);
                Real* to = view[col::grad<C>{}] + t * static_cast<std::int64_t>(cell.width);
                for (std::size_t j = 0; j < cell.width; ++j)
                    to[j] += static_cast<Real>(factor * static_cast<double>(cell.values[j]));
            }
        };
        (one(Column{}), ...);
    }
};

/// The blocks' partial outcomes, joined by one block in a fixed order.
struct FinishObjective {
    static constexpr int threads = 256;
    struct Shared {
        double sum[threads];
        std::int64_t whole[threads];
    };
    const Outcome* partial;
    std::int64_t blocks;
    int sums;
    Outcome* outcome;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        for (int k = 0; k < sums; ++k) {
            block.each([&](int thread) {
                double sum = 0.0;
                for (std::int64_t b = thread; b < blocks; b += threads) sum += partial[b].sum[k];
                shared.sum[thread] = sum;
            });
            reduce(block, shared.sum, Plus{});
            block.each([&](int thread) {
                if (thread == 0) outcome->sum[k] = shared.sum[0];
            });
        }
        block.each([&](int thread) {
            std::int64_t tokens = 0;
            for (std::int64_t b = thread; b < blocks; b += threads) tokens += partial[b].tokens;
            shared.whole[thread] = tokens;
        });
        reduce(block, shared.whole, Plus{});
        block.each([&](int thread) {
            if (thread == 0) outcome->tokens = shared.whole[0];
        });
        block.each([&](int thread) {
            std::int64_t broken = no_token;
            for (std::int64_t b = thread; b < blocks; b += threads) broken = least(broken, partial[b].broken);
            shared.whole[thread] = broken;
        });
        reduce(block, shared.whole, Least{});
        block.each([&](int thread) {
            if (thread == 0) outcome->broken = shared.whole[0];
        });
    }
};

/// lengths of sequences -> what a loss is divided by.
struct CountSequences {
    static constexpr int threads = 256;
    struct Shared {
        std::int64_t tokens[threads], live[threads];
    };
    const std::int64_t* length;
    std::int64_t sequences, groups;
    Counts* counts;
    bool adds;

    template <class Block>
    ROARS_FN void operator()(Block& block, Shared& shared) const {
        block.each([&](int thread) {
            std::int64_t tokens = 0, live = 0;
            for (std::int64_t i = thread; i < sequences; i += threads) {
                tokens += length[i];
                live += length[i] > 0;
            }
            shared.tokens[thread] = tokens;
            shared.live[thread] = live;
        });
        reduce(block, shared.tokens, Plus{});
        reduce(block, shared.live, Plus{});
        block.each([&](int thread) {
            if (thread > 0) return;
            Counts own;
            own.tokens = shared.tokens[0];
            own.live_sequences = shared.live[0];
            own.sequences = sequences;
            own.groups = groups;
            if (adds) {
                own.tokens += counts->tokens;
                own.live_sequences += counts->live_sequences;
                own.sequences += counts->sequences;
                own.groups += counts->groups;
            }
            *counts = own;
        });
    }
};

}  // namespace detail

/// length_i = the trainable tokens of sequence i. Shapes: length [sequences], on the device.
template <class Mask = col::mask, class D, class BatchType>
void trainable_lengths(D& device, const BatchType& batch, std::int64_t* length) {
    segmented_count(device, sequences_of(batch), detail::mask_or_null<Mask>(batch), length);
}

/// The counts of a batch, by the mask of the objective, into the device's memory; added to what stands there where
/// `adds`.
template <class Mask = col::mask, class D, class BatchType>
void count(D& device, const BatchType& batch, Counts* counts, bool adds = false) {
    Frame<D> frame(device);
    auto* length = frame.template take<std::int64_t>(batch.sequences());
    trainable_lengths<Mask>(device, batch, length);
    device.launch(1, detail::CountSequences{length, batch.sequences(), batch.groups(), counts, adds});
}

namespace detail {

template <class D, class BatchType, class... Entry>
class ObjectiveLaunch {
    static constexpr std::size_t terms = sizeof...(Entry);
    template <std::size_t k>
    using EntryAt = std::tuple_element_t<k, std::tuple<Entry...>>;
    template <std::size_t k>
    using MaskAt = mask_of<typename EntryAt<k>::Term>;
    using Real = typename BatchType::Real;

    /// Of the batch's columns, what the terms read and the gradients that it has room for.
    template <class... Column>
    static columns<col::grad<Column>...> gradients(columns<Column...>);
    using Columns = typename BatchType::Columns;
    template <class Slopes>
    using GradientsOf = common_t<decltype(gradients(Slopes{})), Columns>;
    template <bool by_rows>
    using SlopesOf = roars::detail::slopes_of_kind<by_rows, typename Entry::Term...>;
    using Wanted = roars::detail::columns_of_kind<false, typename Entry::Term...>;
    using Touched = common_t<unite_t<Wanted, decltype(gradients(SlopesOf<false>{}))>, Columns>;
    using Kernel = ObjectiveKernel<View<Real, Touched>, Entry...>;
    using Rows = unite_t<typename roars::detail::rows_of<typename Entry::Term>::type...>;
    using Indices = std::index_sequence_for<Entry...>;
    static constexpr bool any_in_lanes = (!RowTerm<typename Entry::Term> || ...);

public:
    ObjectiveLaunch(D& device, BatchType& batch) : device_(device), batch_(batch) {}

    void run(const Counts* counts, Outcome* outcome, const Entry&... entry) const {
        (roars::detail::check_aggregate(entry.aggregate), ...);
        using Read = common_t<roars::detail::columns_of_terms<typename Entry::Term...>, Columns>;
        roars::detail::check_widths(batch_, minus_t<Read, Rows>{});
        widen_gradients(common_t<Rows, unite_t<SlopesOf<true>, SlopesOf<false>>>{});
        Frame<D> frame(device_);
        Kernel kernel{};
        kernel.entry = Pack<Entry...>(entry...);
        find_weights(frame, kernel, counts, Indices{});
        const std::int64_t tiles = any_in_lanes ? pieces_of(batch_.tokens(), Kernel::tile) : 0;
        const std::int64_t blocks = tiles + row_terms * row_blocks();
        kernel.partial = frame.template take<Outcome>(blocks);
        if constexpr (any_in_lanes) {
            kernel.view = batch_.template view<Touched>();
            align(kernel, typename Kernel::Read{});
            align_gradients(kernel, SlopesOf<false>{});
            device_.launch(tiles, kernel);
        }
        Outcome* partial = kernel.partial + tiles;
        clear(GradientsOf<minus_t<SlopesOf<true>, SlopesOf<false>>>{});
        launch_rows(frame, kernel, partial, Indices{});
        device_.launch(1, FinishObjective{kernel.partial, blocks, static_cast<int>(Kernel::sums), outcome});
    }

private:
    static constexpr std::int64_t row_terms = (std::int64_t(RowTerm<typename Entry::Term>) + ... + 0);
    std::int64_t row_blocks() const { return pieces_of(batch_.tokens(), row_threads); }

    /// A gradient has rows like its column.
    template <class... Column>
    void widen_gradients(columns<Column...>) const {
        [[maybe_unused]] auto one = [&](auto column) {
            using C = decltype(column);
            if constexpr (BatchType::template has<col::grad<C>>) batch_.set_width(col::grad<C>{}, batch_.width(C{}));
        };
        (one(Column{}), ...);
    }
    template <class... Gradient>
    void clear(columns<Gradient...>) const {
        (device_.zero(batch_[Gradient{}], static_cast<std::size_t>(batch_.size(Gradient{})) * sizeof(Real)), ...);
    }
    template <std::size_t... k>
    void launch_rows([[maybe_unused]] Frame<D>& frame, [[maybe_unused]] const Kernel& kernel,
                     [[maybe_unused]] Outcome*& partial, std::index_sequence<k...>) const {
        (launch_row_term<k>(frame, kernel, partial), ...);
    }
    template <std::size_t k>
    void launch_row_term([[maybe_unused]] Frame<D>& frame, [[maybe_unused]] const Kernel& all,
                         [[maybe_unused]] Outcome*& partial) const {
        using Term = typename EntryAt<k>::Term;
        if constexpr (RowTerm<Term>) {
            using Slopes = typename Term::differentiates;
            using Read =
                common_t<unite_t<needs_of<Term>, columns<mask_of<Term>>, decltype(gradients(Slopes{}))>, Columns>;
            using Pass = RowKernel<View<Real, Read>, k, Entry...>;
            Pass pass{batch_.template view<Read>(), get<k>(all.entry), all.weight[k], {}, partial};
            row_scratch(frame, pass, Slopes{});
            device_.launch(row_blocks(), pass);
            partial += row_blocks();
        }
    }
    template <class Pass, class... Column>
    void row_scratch(Frame<D>& frame, Pass& pass, columns<Column...>) const {
        auto one = [&](auto column) {
            const std::int64_t count = batch_.tokens() * batch_.width(column);
            auto*& scratch = pass.scratch[position_in<decltype(column)>(typename Pass::Slopes{})];
            scratch = frame.template take<Real>(count);
            device_.zero(scratch, static_cast<std::size_t>(count) * sizeof(Real));
        };
        (one(Column{}), ...);
    }
    template <std::size_t... k>
    void find_weights(Frame<D>& frame, Kernel& kernel, const Counts* counts, std::index_sequence<k...>) const {
        Weights<Real, Entry...> weights{kernel.entry, counts, {}, {}};
        (one_weight<k>(frame, weights), ...);
        for_each(device_, Kernel::per_sequence ? batch_.sequences() : 1, weights);
        for (std::size_t i = 0; i < terms; ++i) kernel.weight[i] = weights.weight[i];
    }
    template <std::size_t k>
    void one_weight(Frame<D>& frame, Weights<Real, Entry...>& weights) const {
        constexpr bool own = EntryAt<k>::Aggregate::per_sequence;
        weights.weight[k] = frame.template take<Real>(own ? batch_.sequences() : 1);
        weights.length[k] = nullptr;
        if constexpr (own) {
            if (k > 0 && std::is_same_v<MaskAt<k>, MaskAt<0>> && weights.length[0]) {
                weights.length[k] = weights.length[0];
                return;
            }
            auto* length = frame.template take<std::int64_t>(batch_.sequences());
            trainable_lengths<MaskAt<k>>(device_, batch_, length);
            weights.length[k] = length;
        }
    }
    template <class... Column>
    void align(Kernel& kernel, columns<Column...>) const {
        ((kernel.aligned[position_in<Column>(typename Kernel::Read{})] = is_aligned(batch_[Column{}])), ...);
    }
    template <class... Column>
    void align_gradients(Kernel& kernel, columns<Column...>) const {
        auto one = [&](auto column) {
            using C = decltype(column);
            if constexpr (BatchType::template has<col::grad<C>>)
                kernel.aligned[Kernel::Read::size + position_in<C>(SlopesOf<false>{})] =
                    is_aligned(batch_[col::grad<C>{}]);
        };
        (one(Column{}), ...);
    }

    D& device_;
    BatchType& batch_;
};

}  // namespace detail

/// Loss, gradients and metrics of any terms, as roars::evaluate has them on the host: one pass over a batch of the
/// device, and behind it one for each term that reads whole rows. `counts` [terms] and `outcome` lie in the device's
/// memory; nothing waits. Masked tokens give exactly 0, whatever stands there.
template <class D, class BatchType, class... Entry>
void evaluate(D& device, BatchType& batch, const Counts* counts, Outcome* outcome, const Entry&... entry) {
    detail::ObjectiveLaunch<D, BatchType, Entry...>(device, batch).run(counts, outcome, entry...);
}

namespace detail {

/// The first broken value, in the host's order and words. Only called when there is one: it copies columns back.
template <class BatchType, class Masks, class... Column>
void explain(const BatchType& batch, Masks, columns<Column...>) {
    using Present = common_t<unite_t<columns<Column...>, Masks>, typename BatchType::Columns>;
    auto host = batch.download(Present{});
    using HostBatch = decltype(host);
    Offsets offsets = host.token_offsets();
    auto counts = [&]<class... Mask>(std::int64_t t, columns<Mask...>) {
        return (roars::detail::trainable<Mask, HostBatch>(host, t) || ...);
    };
    auto look = [&]<class C>(C, bool outside) {
        if ((C::origin != Origin::part) != outside) return;
        for (std::size_t i = 0; i + 1 < offsets.size(); ++i)
            for (std::int64_t t = offsets[i]; t < offsets[i + 1]; ++t) {
                if (!counts(t, Masks{})) continue;
                auto at = static_cast<std::size_t>(C::extent == Extent::sequence ? std::int64_t(i) : t);
                auto width = static_cast<std::size_t>(host.width(C{}));
                for (std::size_t j = at * width; j < (at + 1) * width; ++j)
                    if (double value = static_cast<double>(host[C{}][j]); !std::isfinite(value))
                        roars::detail::throw_not_finite(C::name, t, std::int64_t(i), value);
            }
    };
    (look(Column{}, true), ...);
    (look(Column{}, false), ...);
}

}  // namespace detail

/// The outcome as numbers on the host; waits. Errors: a value at a trainable token is not finite; it is named.
template <class... Term, class D, class BatchType>
Result<Term...> read_outcome(D& device, const BatchType& batch, const Outcome* outcome) {
    using Masks = unite_t<columns<mask_of<Term>>...>;
    using Places = detail::SumsOf<Term...>;
    auto said = read_value(device, outcome);
    if (said.broken != detail::no_token) {
        detail::explain(batch, Masks{}, minus_t<unite_t<needs_of<Term>...>, Masks>{});
        throw Error("a value of token " + std::to_string(said.broken) + " is not finite");
    }
    Result<Term...> result;
    for (std::size_t k = 0; k < result.terms; ++k) result.term_loss[k] = said.sum[k];
    for (std::size_t m = 0; m < result.measured; ++m) result.metric_sum[m] = said.sum[result.terms + m];
    result.tokens = said.tokens;
    if constexpr (Places::any_own_mask)
        for (std::size_t k = 0; k < result.terms; ++k)
            result.own_tokens[k] = static_cast<std::int64_t>(said.sum[Places::template own_tokens<0> + k]);
    return result;
}

}  // namespace roars::gpu
