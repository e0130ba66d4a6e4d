#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/critic/batch_constrained.hpp"
#include "roars/critic/multistep.hpp"
#include "roars/critic/soft_actor_critic.hpp"
#include "roars/critic/twin_delayed.hpp"

/// What critics of (state, action) learn towards, and what of them the policy climbs. A target has
///     next_action(run, batch, memory)                        the action of the next state, [rows x width], or several
///     members(run, critics, which)                           whose target networks are asked
///     value(backend, q, next)     (optional) what of their values of these actions counts, [rows]; else the least
///     target(backend, batch, next, y)                        y from that, [rows]
///     policy_value                                           which of the critics the policy climbs
///     follows_with_policy                                    target networks move only where the policy learns
namespace roars::critic {

/// Of several critics: the least one, the first one, their mean.
enum class PolicyValue { least, first, mean };

/// all = that of the critics 0 to k, the k-th of which says q. Shapes: q -> all [rows].
template <PolicyValue among, class Q, class Real>
void take_member(std::int64_t k, [[maybe_unused]] std::int64_t members, const Q& q, std::vector<Real>& all) {
    if (k == 0) all.assign(q.begin(), q.end());
    for (std::size_t i = 0; i < all.size(); ++i) {
        if constexpr (among == PolicyValue::least)
            all[i] = std::min(all[i], Real(q[i]));
        else if constexpr (among == PolicyValue::mean)
            all[i] = (k == 0 ? Real(0) : all[i]) + Real(q[i]) / static_cast<Real>(members);
    }
}

/// y = r + gamma (1 - terminated) (min_k q_k(s', a') + next_bonus), a' = next_policy_action. The bonus is the
/// regularizer's: -alpha log pi(a'|s') of regularizer::EntropyTemperature. Source: SAC, arXiv 1812.05905, eq. 5.
struct SoftTarget {
    double gamma = 0.99;

    using needs = columns<col::next_policy_action, col::next_bonus>;
    static constexpr PolicyValue policy_value = PolicyValue::least;
    static constexpr bool follows_with_policy = false;

    template <class RunType, class BatchType, class Real>
    std::span<const Real> next_action(RunType&, const BatchType& batch, std::vector<Real>&) const {
        return batch[col::next_policy_action{}];
    }
    template <class RunType>
    void members(RunType&, std::int64_t critics, std::vector<std::int64_t>& which) const {
        which.resize(static_cast<std::size_t>(critics));
        for (std::int64_t k = 0; k < critics; ++k) which[static_cast<std::size_t>(k)] = k;
    }
    template <class BatchType, class Real>
    void target(backend::Host& backend, const BatchType& batch, std::span<const Real> least, std::span<Real> y) const {
        SoftActorCritic{.gamma = gamma}.target<Real>(backend, -1.0, batch[col::token_reward{}],
                                                     batch[col::terminated{}], least, least, batch[col::next_bonus{}],
                                                     y);
    }
};
ROARS_FIELDS(SoftTarget, gamma)

/// y = r + gamma (1 - terminated) min_k q_k(s', a'), a' = next_policy_action: the policy's own action value, without a
/// bonus. Source: AWAC, arXiv 2006.09359, eq. 7.
struct PolicyActionTarget {
    double gamma = 0.99;

    using needs = columns<col::next_policy_action>;
    static constexpr PolicyValue policy_value = PolicyValue::least;
    static constexpr bool follows_with_policy = false;

    template <class RunType, class BatchType, class Real>
    std::span<const Real> next_action(RunType&, const BatchType& batch, std::vector<Real>&) const {
        return batch[col::next_policy_action{}];
    }
    template <class RunType>
    void members(RunType& run, std::int64_t critics, std::vector<std::int64_t>& which) const {
        SoftTarget{}.members(run, critics, which);
    }
    template <class BatchType, class Real>
    void target(backend::Host& backend, const BatchType& batch, std::span<const Real> least, std::span<Real> y) const {
        TwinDelayed{.gamma = gamma}.target<Real>(backend, batch[col::token_reward{}], batch[col::terminated{}], least,
                                                 least, y);
    }
};
ROARS_FIELDS(PolicyActionTarget, gamma)

/// The least of `subset` critics drawn anew for each update, and the mean of all for the policy. Source: REDQ, arXiv
/// 2101.05982, alg. 1.
struct RandomSubsetTarget {
    double gamma = 0.99;
    std::int64_t subset = 2;

    using needs = SoftTarget::needs;
    static constexpr PolicyValue policy_value = PolicyValue::mean;
    static constexpr bool follows_with_policy = false;

    template <class RunType, class BatchType, class Real>
    std::span<const Real> next_action(RunType&, const BatchType& batch, std::vector<Real>&) const {
        return batch[col::next_policy_action{}];
    }
    /// Floyd's sample without replacement.
    template <class RunType>
    void members(RunType& run, std::int64_t critics, std::vector<std::int64_t>& which) const {
        RandomStream stream(run.random.of(Purpose::user));
        which.clear();
        for (std::int64_t j = std::max<std::int64_t>(0, critics - subset); j < critics; ++j) {
            std::int64_t drawn = stream.below(j + 1);
            which.push_back(std::find(which.begin(), which.end(), drawn) == which.end() ? drawn : j);
        }
    }
    template <class BatchType, class Real>
    void target(backend::Host& backend, const BatchType& batch, std::span<const Real> least, std::span<Real> y) const {
        SoftTarget{gamma}.target(backend, batch, least, y);
    }
};
ROARS_FIELDS(RandomSubsetTarget, gamma, subset)

/// y = r + gamma (1 - terminated) min_k q_k(s', a'), a' = next_target_action with clipped noise (sigma = 0: none), held
/// within [low, high]; the policy climbs the first critic. With one critic and no noise it is DDPG's target. Sources:
/// TD3, arXiv 1802.09477, alg. 1; DDPG, arXiv 1509.02971.
struct SmoothedTarget {
    TwinDelayed rule{};

    using needs = columns<col::next_target_action>;
    static constexpr PolicyValue policy_value = PolicyValue::first;
    static constexpr bool follows_with_policy = true;

    template <class RunType, class BatchType, class Real>
    std::span<const Real> next_action(RunType& run, const BatchType& batch, std::vector<Real>& memory) const {
        std::span<const Real> policy = batch[col::next_target_action{}];
        if (rule.sigma == 0.0) return policy;
        memory.resize(policy.size());
        fill_normal(run.random.of(Purpose::user), 1, std::span<Real>(memory));
        rule.smooth<Real>(run.backend, policy, memory, memory);
        return memory;
    }
    template <class RunType>
    void members(RunType& run, std::int64_t critics, std::vector<std::int64_t>& which) const {
        SoftTarget{}.members(run, critics, which);
    }
    template <class BatchType, class Real>
    void target(backend::Host& backend, const BatchType& batch, std::span<const Real> least, std::span<Real> y) const {
        rule.target<Real>(backend, batch[col::token_reward{}], batch[col::terminated{}], least, least, y);
    }
};
ROARS_FIELDS(SmoothedTarget, rule)

/// y = R + gamma^m (1 - terminated) min over `subset` random critics of q_k(s', a'), R and m steps ahead as NStep says,
/// a' = next_target_action with clipped noise; held in [clip_low, clip_high] where that is a range. The policy climbs
/// the mean of all critics. Shapes: as SmoothedTarget, sequences of up to n steps. Source: ResFiT, arXiv 2509.19301.
struct EnsembleTarget {
    TwinDelayed rule{};
    std::int64_t n = 3;
    std::int64_t subset = 2;
    double clip_low = 0.0;
    double clip_high = 0.0;

    using needs = columns<col::next_target_action, col::done>;
    static constexpr PolicyValue policy_value = PolicyValue::mean;
    static constexpr bool follows_with_policy = false;

    template <class RunType, class BatchType, class Real>
    std::span<const Real> next_action(RunType& run, const BatchType& batch, std::vector<Real>& memory) const {
        return SmoothedTarget{rule}.next_action(run, batch, memory);
    }
    template <class RunType>
    void members(RunType& run, std::int64_t critics, std::vector<std::int64_t>& which) const {
        RandomSubsetTarget{.subset = subset}.members(run, critics, which);
    }
    template <class BatchType, class Real>
    void target(backend::Host& backend, const BatchType& batch, std::span<const Real> least, std::span<Real> y) const {
        Steps<Real> steps{batch.token_offsets(), batch[col::token_reward{}], least, batch[col::terminated{}],
                          batch[col::done{}]};
        NStep{rule.gamma, n}.target(backend, steps, y);
        if (clip_low < clip_high)
            for (Real& each : y) each = std::clamp(each, static_cast<Real>(clip_low), static_cast<Real>(clip_high));
    }
};
ROARS_FIELDS(EnsembleTarget, rule, n, subset, clip_low, clip_high)

/// y = r + gamma (1 - terminated) max_j (pessimism min_k q_k(s', a_j) + (1 - pessimism) max_k q_k(s', a_j)), a_j =
/// next_target_action, one or several a row: BatchConstrained. What of the critics the policy climbs is `climbed`.
template <PolicyValue climbed>
struct SupportTarget {
    BatchConstrained rule{};

    using needs = columns<col::next_target_action>;
    static constexpr PolicyValue policy_value = climbed;
    static constexpr bool follows_with_policy = false;

    template <class RunType, class BatchType, class Real>
    std::span<const Real> next_action(RunType&, const BatchType& batch, std::vector<Real>&) const {
        return batch[col::next_target_action{}];
    }
    template <class RunType>
    void members(RunType& run, std::int64_t critics, std::vector<std::int64_t>& which) const {
        SoftTarget{}.members(run, critics, which);
    }
    template <class Real>
    void value(backend::Host& backend, Rows<const Real> q, std::span<Real> next) const {
        rule.value(backend, q, next);
    }
    template <class BatchType, class Real>
    void target(backend::Host& backend, const BatchType& batch, std::span<const Real> next, std::span<Real> y) const {
        TwinDelayed{.gamma = rule.gamma}.target<Real>(backend, batch[col::token_reward{}], batch[col::terminated{}],
                                                      next, next, y);
    }
};
template <PolicyValue climbed>
ROARS_FIELDS_OF((SupportTarget<climbed>), rule)

}  // namespace roars::critic
