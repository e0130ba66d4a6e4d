#pragma once

#include <algorithm>
#include <cstdint>

#include "measure.hpp"
#include "roars/batch.hpp"

namespace bench {

/// The columns of their gradients.
template <class... Column>
roars::columns<roars::col::grad<Column>...> gradients(roars::columns<Column...>);

/// A batch as a language model's training step has it: `sequences` answers of `length` tokens in groups of 8, nine
/// tokens of ten trainable, a policy a little away from the one that drew the tokens and from the reference. Every
/// column that the batch has and a term reads is filled.
template <class BatchType>
BatchType rollouts(std::int64_t sequences, std::int64_t length) {
    using namespace roars;
    BatchType batch(equal_segments(sequences, length));
    if constexpr (BatchType::template has<col::groups>)
        batch.set_offsets(col::groups{}, equal_segments(sequences / 8, 8));
    if constexpr (BatchType::template has<col::turns>) {
        const std::int64_t turns = std::min<std::int64_t>(8, length);  // of a sequence
        batch.set_offsets(col::turns{}, equal_segments(sequences * turns, length / turns));
        batch.set_offsets(col::turn_owner{}, equal_segments(sequences, turns));
    }
    auto normal = [&]<class Column>(Column column, std::uint32_t which, double mean, double spread) {
        if constexpr (BatchType::template has<Column>) fill_normal(batch[column], which, mean, spread);
    };
    auto flags = [&]<class Column>(Column column, std::uint32_t which, double probability) {
        if constexpr (BatchType::template has<Column>) fill_flags(batch[column], which, probability);
    };
    normal(col::logp{}, 1, -1.0, 0.1);
    normal(col::logp_old{}, 2, -1.0, 0.1);
    normal(col::logp_ref{}, 3, -1.0, 0.1);
    normal(col::advantage{}, 4, 0.0, 1.0);
    normal(col::value{}, 5, 0.0, 1.0);
    normal(col::next_value{}, 6, 0.0, 1.0);
    normal(col::token_reward{}, 7, 0.0, 1.0);
    normal(col::reward{}, 8, 0.0, 1.0);
    normal(col::entropy{}, 9, 1.0, 0.1);
    normal(col::logp_behaviour{}, 14, -1.0, 0.1);
    normal(col::logp_teacher{}, 15, -1.0, 0.1);
    normal(col::value_old{}, 16, 0.0, 1.0);
    normal(col::returns{}, 17, 0.0, 1.0);
    normal(col::q{}, 18, 0.0, 1.0);
    normal(col::sum_pi_squared{}, 19, 0.5, 0.05);
    normal(col::importance_weight{}, 20, 1.0, 0.1);
    normal(col::step_reward{}, 21, 0.0, 1.0);
    normal(col::model_score{}, 22, 0.0, 1.0);
    normal(col::greedy_outcome{}, 23, 0.0, 1.0);
    if constexpr (BatchType::template has<col::component_reward>) {
        batch.set_width(col::component_reward{}, 4);
        fill_normal(batch[col::component_reward{}], 31, 0.0, 1.0);
    }
    if constexpr (BatchType::template has<col::constraints>) {
        batch.set_width(col::constraints{}, 4 * 4);
        fill_normal(batch[col::constraints{}], 35, 1.0, 1.0);
    }
    if constexpr (BatchType::template has<col::rubric>) {
        batch.set_width(col::rubric{}, 2 * 10);
        fill_normal(batch[col::rubric{}], 36, 1.0, 1.0);
    }
    normal(col::token{}, 30, 0.0, 1000.0);
    normal(col::turn_reward{}, 40, 0.0, 1.0);
    normal(col::confidence{}, 41, -1.0, 0.1);
    flags(col::executed{}, 42, 0.9);
    flags(col::judgement{}, 50, 0.5);
    flags(col::relevance{}, 51, 0.5);
    flags(col::external{}, 24, 0.1);
    flags(col::planning{}, 25, 0.1);
    flags(col::format{}, 26, 0.9);
    flags(col::truncated{}, 27, 0.1);
    flags(col::verifiable{}, 28, 0.9);
    flags(col::answer{}, 29, 0.5);
    flags(col::reasoned{}, 32, 0.5);
    flags(col::needs_reasoning{}, 33, 0.5);
    flags(col::decision{}, 34, 0.01);
    if constexpr (BatchType::template has<col::chosen>)
        for (std::size_t i = 0; i < batch[col::chosen{}].size(); i += 2) batch[col::chosen{}][i] = 1;
    if constexpr (BatchType::template has<col::tool_calls>)
        fill(batch[col::tool_calls{}], 32, [](const Random& random, std::uint32_t s, std::uint32_t t) {
            return double(int(5 * random.uniform(s, t)));
        });
    if constexpr (BatchType::template has<col::cost>)
        fill(batch[col::cost{}], 33,
             [](const Random& random, std::uint32_t s, std::uint32_t t) { return 100.0 * random.uniform(s, t); });
    if constexpr (BatchType::template has<col::prompt>)
        for (std::size_t i = 0; i < batch[col::prompt{}].size(); ++i) batch[col::prompt{}][i] = std::int32_t(i / 8);
    flags(col::mask{}, 10, 0.9);
    flags(col::outcome{}, 11, 0.5);
    flags(col::terminated{}, 12, 0.01);
    if constexpr (BatchType::template has<col::done>) {
        flags(col::done{}, 13, 0.01);
        auto terminated = batch[col::terminated{}];
        for (std::size_t t = 0; t < terminated.size(); ++t)
            if (terminated[t] != 0) batch[col::done{}][t] = 1;
    }
    return batch;
}

}  // namespace bench
