#pragma once

#include <cmath>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "roars/advantage/normalise.hpp"
#include "roars/algorithm.hpp"
#include "roars/metrics/groups.hpp"

/// A second signal from comparing prompts with each other, for groups whose own answers all score the same.
/// COPO, arXiv 2508.04138.
namespace roars {

/// What a prompt is worth, from its K answers: their mean reward, and their consistency entropy H = -sum p log2 p over
/// the shares p of equal answers, bits.
namespace prompt_reward {

struct Mean {
    double operator()(double mean, double, std::int64_t) const { return mean; }
};
/// mean (1 - lambda H), lambda = (1 - 1/K) / log2 K: answers that all differ divide it by K. A single answer: the mean.
struct Consistent {
    double operator()(double mean, double entropy, std::int64_t answers) const {
        if (answers < 2) return mean;
        double k = static_cast<double>(answers);
        return mean * (1.0 - (1.0 - 1.0 / k) / std::log2(k) * entropy);
    }
};
ROARS_FIELDS(Mean)
ROARS_FIELDS(Consistent)

}  // namespace prompt_reward

/// The weight of the local signal of a sequence with reward r and local advantage A, from that of its group.
namespace blend {

struct Soft {
    double operator()(double weight, double, double) const { return weight; }
};
/// A wrong answer is driven by the global signal alone.
struct WhereRewarded {
    double operator()(double weight, double reward, double) const { return reward != 0.0 ? weight : 0.0; }
};
/// An answer without a local signal is driven by the global one alone.
struct WhereContrasted {
    double operator()(double weight, double, double advantage) const { return advantage != 0.0 ? weight : 0.0; }
};
struct OnlyGlobal {
    double operator()(double, double, double) const { return 0.0; }
};
struct OnlyLocal {
    double operator()(double, double, double) const { return 1.0; }
};
ROARS_FIELDS(Soft)
ROARS_FIELDS(WhereRewarded)
ROARS_FIELDS(WhereContrasted)
ROARS_FIELDS(OnlyGlobal)
ROARS_FIELDS(OnlyLocal)

}  // namespace blend

namespace advantage {

/// Three columns: the advantage of `local`; advantage_global = (R_g - mean R) / (std R + eps), R the prompt reward of
/// group g, each group once, std with n - ddof, 0 for a single group or equal R; and blend, from the group's weight
///     sigmoid(steepness (H - threshold)):
/// diverse answers are told apart by the local signal, unanimous ones by the global one. A group without sequences is
/// no prompt. With surrogate::Blended. Shapes: reward, answer [sequences] -> advantage, advantage_global [tokens],
/// blend [sequences].
template <AdvantagePart Local = GroupZScore, class PromptReward = prompt_reward::Mean, class Blend = blend::Soft>
struct LocalAndGlobal {
    Local local{};
    PromptReward prompt_reward{};
    Blend blend{};
    double steepness = 20.0;
    double threshold = 1.5;
    double eps = 1e-6;
    int ddof = 1;

    using needs = unite_t<needs_of<Local>, columns<col::groups, col::reward, col::answer>>;
    using gives = unite_t<gives_of<Local>, columns<col::advantage_global, col::blend>>;
    using State = state_of<Local>;

    /// What each group says of its prompt.
    struct Prompts {
        std::vector<double> entropy, reward;
    };
    template <BatchWith<col::groups, col::reward, col::answer> BatchType>
    Prompts prompts(backend::Host& backend, const BatchType& batch) const {
        Offsets groups = batch[col::groups{}];
        std::vector<Moments> rewards(static_cast<std::size_t>(batch.groups()));
        segmented_moments(backend, groups, batch[col::reward{}], std::span(rewards));
        Prompts prompts{std::vector<double>(rewards.size()), std::vector<double>(rewards.size())};
        parallel_for(backend, batch.groups(), [&](std::int64_t group) {
            auto g = static_cast<std::size_t>(group);
            auto answers = batch[col::answer{}].subspan(std::size_t(groups[g]), std::size_t(rewards[g].count));
            prompts.entropy[g] = metrics::answer_entropy(answers) / std::log(2.0);
            prompts.reward[g] = prompt_reward(rewards[g].mean, prompts.entropy[g], rewards[g].count);
        });
        return prompts;
    }
    double local_weight(double entropy) const { return math::sigmoid(steepness * (entropy - threshold)); }

    template <class RunType, BatchWith<col::advantage, col::advantage_global, col::blend> BatchType>
    void estimate(RunType& run, State& state, BatchType& batch) const {
        using Real = typename BatchType::Real;
        roars::detail::call_estimate(local, run, state, batch);
        Offsets groups = batch[col::groups{}], tokens = batch.token_offsets();
        Prompts prompts = this->prompts(run.backend, batch);
        std::vector<double> score = across(run.backend, groups, prompts.reward);
        segmented_for_each(run.backend, groups, [&](std::int64_t group, std::int64_t sequence) {
            auto g = static_cast<std::size_t>(group), i = static_cast<std::size_t>(sequence);
            auto signal = batch[col::advantage_global{}];
            std::fill(signal.begin() + tokens[i], signal.begin() + tokens[i + 1], static_cast<Real>(score[g]));
            batch[col::blend{}][i] = static_cast<Real>(
                blend(local_weight(prompts.entropy[g]), double(batch[col::reward{}][i]), local_signal(batch, i)));
        });
    }
    auto terms(const State& state) const requires HasTerms<Local> { return roars::detail::terms_of(local, state); }

private:
    /// The z-score of each group's reward among all groups.
    std::vector<double> across(backend::Host& backend, Offsets groups, std::span<const double> reward) const {
        std::vector<char> exists;
        for (std::size_t g = 0; g + 1 < groups.size(); ++g) exists.push_back(groups[g + 1] > groups[g]);
        Moments all = moments(backend, reward, std::span<const char>(exists));
        std::vector<double> score;
        for (double r : reward) score.push_back(all.equal ? 0.0 : (r - all.mean) / (all.spread(ddof) + eps));
        return score;
    }
    /// A of the first trainable token; 0 where there is none.
    template <class BatchType>
    static double local_signal(const BatchType& batch, std::size_t sequence) {
        for (std::int64_t t = batch.token_offsets()[sequence]; t < batch.token_offsets()[sequence + 1]; ++t)
            if (roars::detail::trainable<col::mask>(batch, t))
                return double(batch[col::advantage{}][static_cast<std::size_t>(t)]);
        return 0.0;
    }
};
template <class Local, class PromptReward, class Blend>
ROARS_FIELDS_OF((LocalAndGlobal<Local, PromptReward, Blend>), local, prompt_reward, blend, steepness, threshold, eps,
                ddof)

}  // namespace advantage
}  // namespace roars
