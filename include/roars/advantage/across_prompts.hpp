#pragma once

#include <cmath>
#include <cstdint>

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
    ROARS_FN double operator()(double mean, double, std::int64_t) const { return mean; }
};
/// mean (1 - lambda H), lambda = (1 - 1/K) / log2 K: answers that all differ divide it by K. A single answer: the mean.
struct Consistent {
    ROARS_FN double operator()(double mean, double entropy, std::int64_t answers) const {
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
    ROARS_FN double operator()(double weight, double, double) const { return weight; }
};
/// A wrong answer is driven by the global signal alone.
struct WhereRewarded {
    ROARS_FN double operator()(double weight, double reward, double) const { return reward != 0.0 ? weight : 0.0; }
};
/// An answer without a local signal is driven by the global one alone.
struct WhereContrasted {
    ROARS_FN double operator()(double weight, double, double advantage) const {
        return advantage != 0.0 ? weight : 0.0;
    }
};
struct OnlyGlobal {
    ROARS_FN double operator()(double, double, double) const { return 0.0; }
};
struct OnlyLocal {
    ROARS_FN double operator()(double, double, double) const { return 1.0; }
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

    static constexpr bool everywhere = true;
    using Inner = Local;

    /// What a group says of its prompt.
    struct Prompt {
        double entropy, reward;
    };
    template <class X>
    ROARS_FN Prompt prompt(const X& x, const Moments& reward, std::int64_t group) const {
        double entropy =
            metrics::answer_entropy(x[col::answer{}] + x[col::groups{}][group], reward.count) / std::log(2.0);
        return {entropy, prompt_reward(reward.mean, entropy, reward.count)};
    }
    ROARS_FN double local_weight(double entropy) const { return math::sigmoid(steepness * (entropy - threshold)); }

    template <class X>
    struct OfGroup {
        LocalAndGlobal part;
        X x;
        const Moments* rewards;
        double *entropy, *reward;
        char* exists;
        ROARS_FN void operator()(std::int64_t g) const {
            Prompt own = part.prompt(x, rewards[g], g);
            entropy[g] = own.entropy;
            reward[g] = own.reward;
            exists[g] = rewards[g].count > 0;
        }
    };
    /// advantage_global of a group's sequences, and blend.
    template <class X>
    struct Signals {
        LocalAndGlobal part;
        X x;
        const Moments* all;
        const double *entropy, *reward;
        double* signal;
        ROARS_FN void operator()(std::int64_t g) const {
            double score = all->equal ? 0.0 : (reward[g] - all->mean) / (all->spread(part.ddof) + part.eps);
            for (std::int64_t i = x[col::groups{}][g]; i < x[col::groups{}][g + 1]; ++i) {
                std::int64_t first = x.first_trainable(i);
                double own = first < 0 ? 0.0 : double(x[col::advantage{}][first]);
                signal[i] = score;
                x[col::blend{}][i] = static_cast<typename X::Real>(
                    part.blend(part.local_weight(entropy[g]), double(x[col::reward{}][i]), own));
            }
        }
    };
    template <class X>
    struct Spread {
        X x;
        const double* signal;
        ROARS_FN void operator()(std::int64_t i, std::int64_t t) const {
            x[col::advantage_global{}][t] = static_cast<typename X::Real>(signal[i]);
        }
    };

    template <class RunType, BatchWith<col::advantage, col::advantage_global, col::blend> BatchType>
    void estimate(RunType& run, State& state, BatchType& batch) const {
        using Here = roars::detail::EverywhereOf<RunType>;
        roars::detail::call_estimate(local, run, state, batch);
        auto x =
            view_of<columns<col::groups, col::reward, col::answer, col::advantage, col::advantage_global, col::blend>>(
                run, batch);
        using X = decltype(x);
        roars::detail::ScratchOf<Moments, RunType> rewards(run.backend, batch.groups()), all(run.backend, 1);
        roars::detail::ScratchOf<double, RunType> entropy(run.backend, batch.groups()),
            reward(run.backend, batch.groups()), signal(run.backend, batch.sequences());
        roars::detail::ScratchOf<char, RunType> exists(run.backend, batch.groups());
        Here::group_moments(run.backend, batch, x[col::reward{}], rewards.data());
        Here::for_each(run.backend, batch.groups(),
                       OfGroup<X>{*this, x, rewards.data(), entropy.data(), reward.data(), exists.data()});
        Here::moments(run.backend, reward.data(), exists.data(), batch.groups(), all.data());
        Here::for_each(run.backend, batch.groups(),
                       Signals<X>{*this, x, all.data(), entropy.data(), reward.data(), signal.data()});
        Here::for_each_token(run.backend, batch, Spread<X>{x, signal.data()});
    }
    auto terms(const State& state) const requires HasTerms<Local> { return roars::detail::terms_of(local, state); }
};
template <class Local, class PromptReward, class Blend>
ROARS_FIELDS_OF((LocalAndGlobal<Local, PromptReward, Blend>), local, prompt_reward, blend, steepness, threshold, eps,
                ddof)

}  // namespace advantage
}  // namespace roars
