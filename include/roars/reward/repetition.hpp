#pragma once

#include <algorithm>
#include <cstdint>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "roars/concepts.hpp"

namespace roars::reward {

/// The share of n-grams that occurred before: 1 - distinct / all; 0 for fewer than n tokens. Errors: n below 1.
template <class Token>
double repeated_share(std::span<Token> tokens, std::int64_t n) {
    expect(n >= 1, [&] { return "repetition: n-grams of " + std::to_string(n) + " tokens, expected 1 or more"; });
    std::int64_t all = std::ssize(tokens) - n + 1;
    if (all <= 0) return 0.0;
    std::vector<std::int64_t> start(static_cast<std::size_t>(all));
    std::iota(start.begin(), start.end(), std::int64_t{0});
    auto at = [&](std::int64_t i) { return tokens.begin() + i; };
    std::sort(start.begin(), start.end(), [&](std::int64_t a, std::int64_t b) {
        return std::lexicographical_compare(at(a), at(a) + n, at(b), at(b) + n);
    });
    auto end = std::unique(start.begin(), start.end(),
                           [&](std::int64_t a, std::int64_t b) { return std::equal(at(a), at(a) + n, at(b)); });
    return 1.0 - static_cast<double>(end - start.begin()) / static_cast<double>(all);
}

/// r_i += max_penalty (1 - distinct n-grams / all n-grams). For reward::Then. Shapes: token [tokens] -> reward
/// [sequences]. Source: arXiv 2502.03373, section 4.4, in the form of TRL.
struct Repetition {
    std::int64_t ngram = 3;
    double max_penalty = -1.0;

    using needs = columns<col::token>;

    template <class Token>
    double penalty(std::span<Token> tokens) const {
        return repeated_share(tokens, ngram) * max_penalty;
    }
    template <class RunType, class State, BatchWith<col::token, col::reward> BatchType>
    void amend(RunType& run, State&, BatchType& batch) const {
        expect(ngram >= 1, "repetition: ngram is below 1, expected 1 or more");
        auto offsets = batch.token_offsets();
        parallel_for(run.backend, batch.sequences(), [&](std::int64_t sequence) {
            auto i = static_cast<std::size_t>(sequence);
            auto tokens = batch[col::token{}].subspan(static_cast<std::size_t>(offsets[i]),
                                                      static_cast<std::size_t>(offsets[i + 1] - offsets[i]));
            batch[col::reward{}][i] += static_cast<typename BatchType::Real>(penalty(tokens));
        });
    }
};
ROARS_FIELDS(Repetition, ngram, max_penalty)

}  // namespace roars::reward
