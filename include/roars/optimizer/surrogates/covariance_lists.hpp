#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "roars/optimizer/surrogates/gathered.hpp"
#include "roars/optimizer/surrogates/smallest_keys.hpp"
#include "roars/optimizer/surrogates/token_covariance.hpp"
#include "roars/optimizer/surrogates/token_marks.hpp"
#include "roars/optimizer/surrogates/wrapper.hpp"
#include "roars/random.hpp"

/// How tokens are chosen by their covariance in the memory of any backend: by sums, sorts and loops whose sizes are
/// those of the batch. The term has `fraction` and says, in ROARS_FN functions,
///     using Reads = columns<col::advantage, col::logp, ...>
///     double drawn(random, x, print, i, t) const   a number of its own of token t of sequence i, print that of column
///                                                  2; if the term has a `draw`
///     double key(covariance[, number]) const       the smallest ones are chosen; NaN is none
///     double written(share)                        what a token becomes that is chosen in this share
namespace roars::detail {

template <class Term>
inline constexpr bool draws = requires(const Term& term) {
    term.draw;
};
template <class Term>
ROARS_FN double key_of(const Term& term, double covariance, [[maybe_unused]] double number) {
    if constexpr (draws<Term>)
        return term.key(covariance, number);
    else
        return term.key(covariance);
}

/// The tokens of a micro-batch, with prints of their sequences.
template <class Term, class Numbers>
struct PrintedTokens {
    Term term;
    Random random;
    Numbers x;
    const std::uint64_t *print, *print_for_draws;

    ROARS_FN std::uint64_t mark(std::int64_t i, std::int64_t t) const { return mark_of(print[i], t - begin_of(x, i)); }
    ROARS_FN double number([[maybe_unused]] std::int64_t i, [[maybe_unused]] std::int64_t t) const {
        if constexpr (draws<Term>)
            return term.drawn(random, x, print_for_draws[i], i, t);
        else
            return 0.0;
    }
};
/// use(PrintedTokens)
template <class Term, class RunType, class BatchType, class Use>
void with_prints(const Term& term, RunType& run, const BatchType& batch, const Use& use) {
    auto x = numbers_of(run, batch, typename Term::Reads{});
    using Numbers = decltype(x);
    ScratchOf<std::uint64_t, RunType> print(run.backend, batch.sequences());
    ScratchOf<std::uint64_t, RunType> for_draws(run.backend, draws<Term> ? batch.sequences() : 0);
    [&]<std::size_t... k>(std::index_sequence<k...>) { sequence_prints<k...>(run, batch, x, print.data()); }
    (std::make_index_sequence<Numbers::width>{});
    if constexpr (draws<Term>) sequence_prints<2>(run, batch, x, for_draws.data());
    use(PrintedTokens<Term, Numbers>{term, run.random.of(Purpose::resample), x, print.data(), for_draws.data()});
}

/// The means of the whole batch, in the memory of a backend.
struct MeansThere {
    const Mean *advantage, *logp;
    ROARS_FN Covariance covariance() const { return {*advantage, *logp}; }
};
template <class Numbers>
struct MeanOfToken {
    Numbers x;
    std::size_t k;
    ROARS_FN Mean operator()(std::int64_t t) const {
        double number = double(x.counted(k, t));
        return number == number ? Mean{1, number, 0.0} : Mean{};
    }
};

template <class Tokens>
struct ListToken {
    Tokens tokens;
    double* numbers;  ///< null where the term draws none
    std::uint64_t* marks;
    ROARS_FN void operator()(std::int64_t i, std::int64_t t) const {
        if (numbers) numbers[t] = tokens.number(i, t);
        marks[t] = tokens.mark(i, t);
    }
};
template <class Term, class Numbers>
struct ListKey {
    Term term;
    Numbers x;
    MeansThere means;
    const double* numbers;
    double* keys;
    ROARS_FN void operator()(std::int64_t t) const {
        keys[t] = key_of(term, means.covariance()(x, t), numbers ? numbers[t] : 0.0);
    }
};
struct ShareOfTokens {
    double fraction;
    MeansThere means;
    ROARS_FN std::int64_t operator()(std::int64_t) const { return share(fraction, means.covariance().tokens); }
};
template <class Tokens, class Ranked, class Real>
struct WriteShare {
    Tokens tokens;
    MeansThere means;
    Ranked ranked;
    Real* to;
    ROARS_FN void operator()(std::int64_t i, std::int64_t t) const {
        double share = 0.0;
        if (tokens.x.counts(t)) {
            double key = key_of(tokens.term, means.covariance()(tokens.x, t), tokens.number(i, t));
            share = ranked.share(key, tokens.mark(i, t));
        }
        to[t] = static_cast<Real>(tokens.term.written(share));
    }
};

/// What is kept of the tokens of a whole batch; NaN of one that does not count. A draw is made once for the whole batch
/// and once for its micro-batch, by the same run.random.
template <class B>
class CovarianceLists {
    template <class T>
    using Scratch = typename Everywhere<B>::template Scratch<T>;
    using Here = Everywhere<B>;

public:
    void clear() {
        for (auto* list : {&advantage_, &logp_, &numbers_}) list->clear();
        marks_.clear();
    }
    /// The tokens of a micro-batch come behind the others.
    template <class Term, class RunType, class BatchType>
    void add(const Term& term, RunType& run, const BatchType& batch) {
        const std::int64_t tokens = batch.tokens();
        with_prints(term, run, batch, [&]<class Tokens>(const Tokens& all) {
            list_numbers(run.backend, tokens, all.x, 0, advantage_);
            list_numbers(run.backend, tokens, all.x, 1, logp_);
            double* numbers = draws<Term> ? numbers_.extend(run.backend, tokens) : nullptr;
            std::uint64_t* marks = marks_.extend(run.backend, tokens);
            Here::for_each_token(run.backend, batch, ListToken<Tokens>{all, numbers, marks});
        });
    }
    /// to_t = what token t of a micro-batch becomes.
    template <class Term, class RunType, class BatchType, class Real>
    void write_shares(const Term& term, RunType& run, const BatchType& batch, Real* to) const {
        B& backend = run.backend;
        TokenNumbers<double, 2, false> x{{advantage_.data(), logp_.data()}, nullptr, {}};
        using Numbers = decltype(x);
        Scratch<Mean> mean(backend, 2);
        Here::clear(backend, mean.data(), 2);
        for (std::size_t k = 0; k < 2; ++k) Here::add(backend, tokens(), MeanOfToken<Numbers>{x, k}, mean.data()[k]);
        const MeansThere means{mean.data(), mean.data() + 1};

        Scratch<double> keys(backend, tokens());
        const double* numbers = draws<Term> ? numbers_.data() : nullptr;
        Here::for_each(backend, tokens(), ListKey<Term, Numbers>{term, x, means, numbers, keys.data()});
        RankedKeys<B> ranked(backend, keys.data(), marks_.data(), tokens(), ShareOfTokens{term.fraction, means});
        with_prints(term, run, batch, [&]<class Tokens>(const Tokens& some) {
            WriteShare<Tokens, typename RankedKeys<B>::View, Real> body{some, means, ranked.view(), to};
            Here::for_each_token(backend, batch, body);
        });
    }

private:
    std::int64_t tokens() const { return marks_.size(); }

    ListIn<double, B> advantage_, logp_, numbers_;
    ListIn<std::uint64_t, B> marks_;
};

/// What such a term reads of a whole batch, in the memory of B.
template <class B, class... Column>
using CovarianceSums = std::conditional_t<B::on_device, CovarianceLists<B>, Gathered<Column...>>;

}  // namespace roars::detail
