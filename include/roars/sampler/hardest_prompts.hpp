#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/concepts.hpp"

namespace roars::sampler {

/// The prompts that wait for their demonstrations to be learnt, the next one first; and how many have been.
struct WaitingPrompts {
    std::vector<std::int64_t> prompts;
    std::int64_t demonstrations = 0;
};
ROARS_FIELDS(WaitingPrompts, prompts, demonstrations)

/// Demonstrations of the prompts that another algorithm cannot solve: it watches the batches of that, and wherever all
/// rewards of a group are `fail_value` the prompt waits, unless it does so already or has no right demonstration. Those
/// of the newest batch stand in front, in its order. As soon as batch_size of them wait, a batch of the first ones is
/// due; they leave, solved meanwhile or not. Asks of the source has_demonstration(prompt), a right one, and
/// demonstrate(run, batch, numbers of prompts). Source: ReLIFT, arXiv 2506.07527.
struct HardestPrompts {
    std::int64_t batch_size = 128;
    double fail_value = 0.0;

    using watches = columns<col::groups, col::reward, col::prompt>;
    using State = WaitingPrompts;
    template <class RunType, class Source, class BatchType>
    static constexpr bool draws_from = requires(RunType& run, Source& source, BatchType& batch,
                                                std::span<const std::int64_t> numbers) {
        source.demonstrate(run, batch, numbers);
        source.has_demonstration(numbers[0]);
    };

    template <class RunType, class Source, BatchWith<col::groups, col::reward, col::prompt> BatchType>
    void watch(RunType&, State& state, const Source& source, const BatchType& batch) const {
        expect(batch_size >= 1,
               [&] { return "hardest prompts: a batch of " + std::to_string(batch_size) + ", expected 1 or more"; });
        const auto failed = static_cast<typename BatchType::Real>(fail_value);
        Offsets groups = batch[col::groups{}];
        std::vector<std::int64_t> prompts;
        auto waits = [](const std::vector<std::int64_t>& in, std::int64_t prompt) {
            return std::find(in.begin(), in.end(), prompt) != in.end();
        };
        for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
            const auto first = static_cast<std::size_t>(groups[g]),
                       size = static_cast<std::size_t>(groups[g + 1]) - first;
            auto rewards = batch[col::reward{}].subspan(first, size);
            if (size == 0 || std::count(rewards.begin(), rewards.end(), failed) < std::ssize(rewards)) continue;
            const std::int64_t prompt = batch[col::prompt{}][first];
            if (waits(state.prompts, prompt) || waits(prompts, prompt) || !source.has_demonstration(prompt)) continue;
            prompts.push_back(prompt);
        }
        state.prompts.insert(state.prompts.begin(), prompts.begin(), prompts.end());
    }
    bool due(const State& state) const { return std::ssize(state.prompts) >= batch_size; }

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        const auto count = static_cast<std::ptrdiff_t>(std::min(batch_size, std::ssize(state.prompts)));
        const std::vector<std::int64_t> taken(state.prompts.begin(), state.prompts.begin() + count);
        state.prompts.erase(state.prompts.begin(), state.prompts.begin() + count);
        state.demonstrations += count;
        source.demonstrate(run, batch, std::span<const std::int64_t>(taken));
        score(batch);
    }
};
ROARS_FIELDS(HardestPrompts, batch_size, fail_value)

}  // namespace roars::sampler
