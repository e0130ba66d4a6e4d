#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/sampler/groups.hpp"

namespace roars::sampler {

/// `prompts` groups, each of a given solution (first; its tokens have external = 1) and group_size - 1 answers of the
/// policy to the same prompt. Asks of the source demonstrate(run, batch, count) and roll_out(run, batch, numbers of
/// prompts, answers, generation). Only the policy's answers count as spent. Source: RL-PLUS, arXiv 2508.00222.
struct GroupsWithSolution {
    std::int64_t prompts = 32;
    std::int64_t group_size = 8;
    Generation generation{};

    using needs = columns<col::groups, col::prompt, col::external>;
    using State = Spent;

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        expect(group_size >= 1, [&] {
            return "groups with a solution: group_size is " + std::to_string(group_size) + ", expected 1 or more";
        });
        BatchType given, own;
        source.demonstrate(run, given, prompts);
        std::vector<std::int64_t> numbers(given[col::prompt{}].begin(), given[col::prompt{}].end());
        if (group_size > 1)
            source.roll_out(run, own, std::span<const std::int64_t>(numbers), group_size - 1, generation);
        batch = BatchType();
        std::vector<std::int64_t> groups{0};
        for (std::int64_t g = 0; g < given.sequences(); ++g) {
            batch.append(given.slice_sequences(g, g + 1));
            batch.append(own.slice_sequences(g * (group_size - 1), (g + 1) * (group_size - 1)));
            groups.push_back(batch.sequences());
        }
        batch.set_offsets(col::groups{}, groups);
        score(batch);
        state.rollouts += own.sequences();
    }
};
ROARS_FIELDS(GroupsWithSolution, prompts, group_size, generation)

}  // namespace roars::sampler
