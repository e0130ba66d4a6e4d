#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/sampling.hpp"
#include "roars/sampler/keep.hpp"

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

/// What drawing again has cost: rollouts, draws, and the groups that were drawn and that were worth keeping.
struct Draws {
    std::int64_t rollouts = 0, draws = 0, drawn_groups = 0, kept_groups = 0;
};
ROARS_FIELDS(Draws, rollouts, draws, drawn_groups, kept_groups)

/// Draws until `prompts` groups are worth keeping, or `max_draws` times; surplus groups of the last draw are discarded.
/// The batch may then hold fewer groups, and none at all where nothing can be learnt. A draw is of `prompts_per_draw`
/// prompts (0: of `prompts`): more of them oversample, fewer spend less on the last groups.
template <class Keep>
struct RedrawGroups {
    std::int64_t prompts = 32;
    std::int64_t group_size = 16;
    std::int64_t max_draws = 8;
    std::int64_t prompts_per_draw = 0;
    Keep keep{};
    Generation generation{};

    using needs = columns<col::groups, col::outcome>;
    using State = Draws;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        using Real = typename BatchType::Real;
        batch = BatchType();
        for (std::int64_t draw = 0; draw < max_draws && batch.groups() < prompts; ++draw) {
            BatchType drawn;
            source.roll_out(run, drawn, prompts_per_draw > 0 ? prompts_per_draw : prompts, group_size, generation);
            score(drawn);
            auto kept =
                groups_to_keep(run.backend, drawn[col::groups{}], std::span<const Real>(drawn[col::outcome{}]), keep);
            state.rollouts += drawn.sequences();
            state.drawn_groups += drawn.groups();
            ++state.draws;
            std::int64_t room = prompts - batch.groups();
            for (char& each : kept) {
                state.kept_groups += each;
                if (each && room-- <= 0) each = 0;
            }
            batch.append(drawn.select_groups(kept));
        }
    }
};
template <class Keep>
ROARS_FIELDS_OF((RedrawGroups<Keep>), prompts, group_size, max_draws, prompts_per_draw, keep, generation)

/// Dynamic sampling: no group whose outcomes are all equal. Source: DAPO, arXiv 2503.14476, eq. 11.
using DynamicGroups = RedrawGroups<keep::Informative>;
/// No group whose success rate is outside a band.
using BandGroups = RedrawGroups<keep::Band>;

}  // namespace roars::sampler
