#pragma once

#include <cstdint>
#include <span>

namespace roars::sampler {

/// What a source is asked for by go_on(run, batch, from, continuations, generation): sequence `sequence` of `from` up
/// to its first `tokens` tokens, the environment as it was there; then the tokens `inserted`, which the policy did not
/// draw; then what the policy draws. `parent` is what col::branch_parent becomes. A new rollout, which shares nothing
/// with the old one but these tokens. Such a source fills `entropy` and `logp_old` of what it rolls out, where a batch
/// has them.
struct Continuation {
    std::int64_t sequence = 0;
    std::int64_t tokens = 0;
    std::int64_t parent = -1;
    std::span<const std::int32_t> inserted{};
};

}  // namespace roars::sampler
