#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/metrics/grams.hpp"

namespace roars::sampler {

/// Marks the tokens that stand inside a strategic gram of its State: phrases that were mined once from successful
/// solutions (metrics::mine_grams) and put there before training. For Then, behind what rolls out. Without grams no
/// token is marked. Shapes: token -> planning [tokens]. Source: HICRA, arXiv 2509.03646.
struct MarkGrams {
    using needs = columns<col::token>;
    using gives = columns<col::planning>;

    struct State {
        std::vector<std::int64_t> tokens;         ///< of all grams, one behind the other
        std::vector<std::int64_t> offsets = {0};  ///< gram g owns tokens [offsets[g], offsets[g + 1])
        std::vector<std::int64_t> occurrences;    ///< of each gram in the last batch

        ROARS_MEMBERS(State, tokens, offsets, occurrences)
    };

    template <class RunType, BatchWith<col::token, col::planning> BatchType>
    void amend(RunType&, State& state, BatchType& batch) const {
        std::vector<std::int32_t> grams(state.tokens.begin(), state.tokens.end());
        state.occurrences = metrics::mark_grams(batch.token_offsets(), metrics::Tokens(batch[col::token{}]),
                                                metrics::RaggedTokens{grams, state.offsets}, batch[col::planning{}]);
    }
};
ROARS_FIELDS(MarkGrams)

}  // namespace roars::sampler
