#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <utility>

#include "roars/optimizer/surrogates/gathered.hpp"

/// Numbers that go with a token into whatever micro-batch: of its place in its sequence and of all that the tokens of
/// the sequence that count hold. Only the tokens of equal sequences have equal marks.
namespace roars::detail {

/// The finaliser of MurmurHash3: every bit of the result depends on every bit of x.
ROARS_FN inline std::uint64_t mixed(std::uint64_t x) {
    x = (x ^ (x >> 33)) * 0xff51afd7ed558ccdull;
    x = (x ^ (x >> 33)) * 0xc4ceb9fe1a85ec53ull;
    return x ^ (x >> 33);
}

/// A number of a token's place and of what it holds in the columns k of x; 0 where it does not count.
template <std::size_t... k, class Numbers>
ROARS_FN std::uint64_t token_print(const Numbers& x, std::int64_t place, std::int64_t t) {
    std::uint64_t own = static_cast<std::uint64_t>(place) * 0x9e3779b97f4a7c15ull;
    ((own = own * 0xd6e8feb86659fd93ull + std::bit_cast<std::uint64_t>(double(x(k, t)))), ...);
    own = mixed(own);
    return x.counts(t) ? own : 0;
}
/// That of sequence i: its length and a sum over its tokens, so that none waits for the one before.
template <std::size_t... k, class Numbers>
std::uint64_t sequence_print(const Numbers& x, std::int64_t i) {
    std::int64_t begin = begin_of(x, i), end = begin_of(x, i + 1);
    std::uint64_t all = static_cast<std::uint64_t>(end - begin);
    for (std::int64_t t = begin; t < end; ++t) all += token_print<k...>(x, t - begin, t);
    return all;
}
/// The mark of the token at a place of a sequence.
ROARS_FN inline std::uint64_t mark_of(std::uint64_t sequence_print, std::int64_t place) {
    return mixed(sequence_print + static_cast<std::uint64_t>(place) * 0x9e3779b97f4a7c15ull);
}

/// The marks of tokens that are asked for sequence by sequence.
template <class Numbers>
class TokenMarks {
public:
    explicit TokenMarks(const Numbers& x) : x_(x) {}
    std::uint64_t operator()(std::int64_t i, std::int64_t t) {
        if (i != sequence_) print_ = print(i, std::make_index_sequence<Numbers::width>{});
        sequence_ = i;
        return mark_of(print_, t - begin_of(x_, i));
    }

private:
    template <std::size_t... k>
    std::uint64_t print(std::int64_t i, std::index_sequence<k...>) const {
        return sequence_print<k...>(x_, i);
    }
    Numbers x_;
    std::int64_t sequence_ = -1;
    std::uint64_t print_ = 0;
};

/// What a token adds to its sequence's print: 1 to its length.
template <class Numbers, std::size_t... k>
struct PrintToken {
    Numbers x;
    std::uint64_t* to;
    ROARS_FN void operator()(std::int64_t i, std::int64_t t) const {
        to[t] = 1 + token_print<k...>(x, t - begin_of(x, i), t);
    }
};
struct PrintAt {
    const std::uint64_t* of_token;
    ROARS_FN std::uint64_t operator()(std::int64_t t) const { return of_token[t]; }
};
/// to_i = sequence_print<k...>(x, i), on any backend.
template <std::size_t... k, class RunType, class BatchType, class Numbers>
void sequence_prints(RunType& run, const BatchType& batch, const Numbers& x, std::uint64_t* to) {
    using Here = EverywhereOf<RunType>;
    ScratchOf<std::uint64_t, RunType> of_token(run.backend, batch.tokens());
    Here::for_each_token(run.backend, batch, PrintToken<Numbers, k...>{x, of_token.data()});
    Here::template sequence_totals<std::uint64_t>(run.backend, batch, PrintAt{of_token.data()}, to);
}

}  // namespace roars::detail
