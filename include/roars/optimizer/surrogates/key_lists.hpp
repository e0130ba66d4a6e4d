#pragma once

#include <cstdint>

#include "roars/optimizer/surrogates/covariance_lists.hpp"

/// How the tokens of smallest keys are chosen from a whole batch, in the memory of any backend. The term has `fraction`
/// and says, in ROARS_FN functions,
///     using Reads = columns<...>
///     double key(x, t) const     of token t, x its numbers of these columns; the smallest are chosen, NaN is none
namespace roars::detail {

template <class Term, class Numbers>
struct ListTokenKey {
    Term term;
    Numbers x;
    double* keys;
    ROARS_FN void operator()(std::int64_t t) const {
        keys[t] = x.counts(t) ? term.key(x, t) : std::numeric_limits<double>::quiet_NaN();
    }
};
struct ShareOfKeys {
    double fraction;
    ROARS_FN std::int64_t operator()(std::int64_t numbers) const { return share(fraction, numbers); }
};
template <class Tokens, class Ranked, class Real>
struct WriteMeanWeight {
    Tokens tokens;
    Ranked ranked;
    Real* to;
    ROARS_FN void operator()(std::int64_t i, std::int64_t t) const {
        double share = 0.0;
        if (tokens.x.counts(t)) share = ranked.share(tokens.term.key(tokens.x, t), tokens.mark(i, t));
        const RankedCut& all = *ranked.found;
        to[t] = static_cast<Real>(share > 0.0 ? share * (double(all.numbers) / double(all.taken)) : 0.0);
    }
};

/// The keys of a whole batch's tokens, NaN of one that does not count, and their marks.
template <class B>
class KeyLists {
    using Here = Everywhere<B>;

public:
    void clear() {
        keys_.clear();
        marks_.clear();
    }
    KeyLists& operator+=(const KeyLists& other) {
        keys_ += other.keys_;
        marks_ += other.marks_;
        return *this;
    }
    /// The tokens of a micro-batch come behind the others.
    template <class Term, class RunType, class BatchType>
    void add(const Term& term, RunType& run, const BatchType& batch) {
        with_prints(term, run, batch, [&]<class Tokens>(const Tokens& all) {
            double* keys = keys_.extend(run.backend, batch.tokens());
            Here::for_each(run.backend, batch.tokens(), ListTokenKey<Term, decltype(all.x)>{term, all.x, keys});
            std::uint64_t* marks = marks_.extend(run.backend, batch.tokens());
            Here::for_each_token(run.backend, batch, ListToken<Tokens>{all, nullptr, marks});
        });
    }
    /// Of N tokens K = max(1, floor(fraction N)) are chosen. to_t = N / K of one that is, else 0: in a mean over the N
    /// that is the mean over the chosen ones.
    template <class Term, class RunType, class BatchType, class Real>
    void write_mean_weights(const Term& term, RunType& run, const BatchType& batch, Real* to) const {
        RankedKeys<B> ranked(run.backend, keys_.data(), marks_.data(), keys_.size(), ShareOfKeys{term.fraction});
        with_prints(term, run, batch, [&]<class Tokens>(const Tokens& some) {
            WriteMeanWeight<Tokens, typename RankedKeys<B>::View, Real> body{some, ranked.view(), to};
            Here::for_each_token(run.backend, batch, body);
        });
    }

private:
    ListIn<double, B> keys_;
    ListIn<std::uint64_t, B> marks_;
};

}  // namespace roars::detail
