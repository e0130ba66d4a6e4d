#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "roars/primitives/segments.hpp"

/// Which tokens of a rollout later turns see, by the judgements of its turns. ReSeek, arXiv 2510.00568.
namespace roars::sampler::context {

/// All of them: a rejection is a word in the context, nothing is removed (version 3 of the paper).
struct Soft {
    static constexpr bool hides = false;
};
/// All but what a turn that rejects it has observed (version 1): its observations are hidden, the judgement stays.
struct Hard {
    static constexpr bool hides = true;
};

/// 1 = later turns see the token. An observation is a token that is not the policy's, mask 0; a turn rejects its
/// observations where its judgement is 0. Shapes: turns [turns + 1], judgement [turns], mask [tokens] -> [tokens].
template <class Which, class Real>
std::vector<std::int8_t> visible(Offsets turns, std::span<const Real> judgement, std::span<const Real> mask) {
    std::vector<std::int8_t> seen(mask.size(), 1);
    if constexpr (Which::hides)
        for (std::size_t k = 0; k < judgement.size(); ++k)
            for (auto t = static_cast<std::size_t>(turns[k]); t < static_cast<std::size_t>(turns[k + 1]); ++t)
                seen[t] = judgement[k] != Real(0) || mask[t] != Real(0);
    return seen;
}

}  // namespace roars::sampler::context
