#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/sampling.hpp"

namespace roars::sampler {

/// How many rollouts a sampler has spent: the budget that comparisons state.
struct Spent {
    std::int64_t rollouts = 0;
};
ROARS_FIELDS(Spent, rollouts)

/// `prompts` prompts, group_size answers to each. The plain sampler of every group method; group_size = 1 has no groups
/// to speak of.
struct Groups {
    std::int64_t prompts = 32;
    std::int64_t group_size = 8;
    Generation generation{};

    using needs = columns<col::groups>;
    using State = Spent;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        source.roll_out(run, batch, prompts, group_size, generation);
        score(batch);
        state.rollouts += batch.sequences();
    }
};
ROARS_FIELDS(Groups, prompts, group_size, generation)

/// A group teaches a group method nothing if its raw outcomes are all equal.
template <class BatchType>
bool informative(const BatchType& batch, std::int64_t group) {
    auto offsets = batch[col::groups{}];
    auto outcome = batch[col::outcome{}];
    for (std::int64_t i = offsets[std::size_t(group)] + 1; i < offsets[std::size_t(group) + 1]; ++i)
        if (outcome[std::size_t(i)] != outcome[std::size_t(i - 1)]) return true;
    return false;
}

/// Dynamic sampling: groups whose outcomes are all equal are dropped, and further prompts are drawn until `prompts`
/// groups are kept or `max_draws` batches of prompts have been drawn; surplus groups of the last draw are discarded. The
/// batch may then hold fewer groups, and none at all where nothing can be learnt. Source: DAPO, arXiv 2503.14476, eq. 11.
struct DynamicGroups {
    std::int64_t prompts = 32;
    std::int64_t group_size = 16;
    std::int64_t max_draws = 8;
    Generation generation{};

    using needs = columns<col::groups, col::outcome>;
    using State = Spent;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        batch = BatchType();
        for (std::int64_t draw = 0; draw < max_draws && batch.groups() < prompts; ++draw) {
            BatchType drawn;
            source.roll_out(run, drawn, prompts, group_size, generation);
            score(drawn);
            state.rollouts += drawn.sequences();
            std::vector<char> keep(std::size_t(drawn.groups()));
            std::int64_t room = prompts - batch.groups();
            for (std::int64_t g = 0; g < drawn.groups(); ++g)
                if (room > 0 && informative(drawn, g)) keep[std::size_t(g)] = 1, --room;
            batch.append(drawn.select_groups(keep));
        }
    }
};
ROARS_FIELDS(DynamicGroups, prompts, group_size, max_draws, generation)

}  // namespace roars::sampler
