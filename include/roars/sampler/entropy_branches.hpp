#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/sampler/continuation.hpp"

/// Rollouts that branch behind the results of tools, the more the less sure the policy is there. Source: ARPO, arXiv
/// 2507.19849.
namespace roars::sampler {

/// E = (sum of H over the first `window` tokens) / ln V, fewer where the segment is shorter; 0 of none, and where there
/// is one option alone. Shapes: entropy [tokens], nats.
template <class Real>
double window_entropy(std::span<Real> entropy, std::int64_t window, double vocabulary) {
    double sum = 0;
    for (std::int64_t j = 0; j < std::min(window, std::ssize(entropy)); ++j)
        sum += double(entropy[static_cast<std::size_t>(j)]);
    return vocabulary > 1 ? sum / std::log(vocabulary) : 0.0;
}

/// A rollout behind a tool's result: does it go on there, and the window entropies at its beginning and there.
struct BranchSource {
    bool active = false;
    double entropy_init = 0, entropy_now = 0;
};
/// What a round makes of a prompt's rollouts: branches of each, new rollouts from the prompt, random numbers taken.
struct BranchRound {
    std::vector<std::int64_t> branches;
    std::int64_t fresh = 0, uniforms = 0;
};

/// A source branches in a try iff clip(u - beta (E_now - E_init), 0, 1) <= alpha, u uniform: with probability
/// clip(alpha + beta (E_now - E_init), 0, 1). (Where alpha is 1 or more it always does.)
struct EntropyRule {
    double alpha = 0.5;
    double beta = 0.2;
    std::int64_t beam = 2;  ///< a source becomes at most so many rollouts in a round, itself one of them

    double probability(double delta) const { return std::clamp(alpha + beta * delta, 0.0, 1.0); }
    bool branches(double u, double delta) const { return std::clamp(u - beta * delta, 0.0, 1.0) <= alpha; }

    /// Each active source in order has min(beam - 1, what the budget has left) tries; uniform() gives a try's u. Where
    /// none is active and the budget has something left, one rollout begins anew.
    template <class Uniform>
    BranchRound round(std::span<const BranchSource> sources, std::int64_t rollouts, std::int64_t budget,
                      Uniform&& uniform) const {
        BranchRound made{std::vector<std::int64_t>(sources.size())};
        std::int64_t slots = budget - rollouts;
        bool active = false;
        for (std::size_t i = 0; i < sources.size(); ++i) {
            if (!sources[i].active) continue;
            active = true;
            const std::int64_t tries = std::min(beam - 1, slots);
            for (std::int64_t k = 0; k < tries; ++k) {
                ++made.uniforms;
                if (!branches(uniform(), sources[i].entropy_now - sources[i].entropy_init)) continue;
                ++made.branches[i];
                --slots;
            }
        }
        made.fresh = !active && slots > 0 ? 1 : 0;
        return made;
    }
};
ROARS_FIELDS(EntropyRule, alpha, beta, beam)

namespace detail {

/// Where the policy goes on behind an observation, and has spoken before: of sequence i, from its first token.
template <class BatchType>
std::vector<std::int64_t> resumptions(const BatchType& batch, std::int64_t i) {
    std::vector<std::int64_t> cuts;
    bool spoken = false, own_before = true;
    const std::int64_t first = batch.token_offsets()[static_cast<std::size_t>(i)],
                       last = batch.token_offsets()[static_cast<std::size_t>(i) + 1];
    for (std::int64_t t = first; t < last; ++t) {
        const bool own = batch[col::mask{}][static_cast<std::size_t>(t)] != 0;
        if (own && spoken && !own_before) cuts.push_back(t - first);
        spoken = spoken || own;
        own_before = own;
    }
    return cuts;
}
/// The entropies of the policy's tokens from place `from` of sequence i (or, before them, the next ones) to an
/// observation.
template <class BatchType>
auto own_segment(const BatchType& batch, std::int64_t i, std::int64_t from) {
    const auto last = static_cast<std::size_t>(batch.token_offsets()[static_cast<std::size_t>(i) + 1]);
    auto begin = static_cast<std::size_t>(batch.token_offsets()[static_cast<std::size_t>(i)] + from);
    while (begin < last && batch[col::mask{}][begin] == 0) ++begin;
    std::size_t end = begin;
    while (end < last && batch[col::mask{}][end] != 0) ++end;
    return batch[col::entropy{}].subspan(begin, end - begin);
}

}  // namespace detail

/// What was rolled out, and how much of it as branches.
struct SpentOnBranches {
    std::int64_t rollouts = 0, branches = 0;
};
ROARS_FIELDS(SpentOnBranches, rollouts, branches)

/// Groups of `rollouts` rollouts, of which `initial` begin at the prompt. The others are branches, grown in rounds: in
/// round r behind the r-th results of tools, where `rule` says so. A branch copies its parent up to and with the
/// result, and goes on by itself; it may be a parent in later rounds. A prompt none of whose rollouts goes on gets a
/// rollout from the prompt, and its rounds begin with the next. A result is a stretch of tokens of mask 0 behind one of
/// the policy; the window at it is the parent's own. `initial` = `rollouts`: plain groups. Asks of the source roll_out,
/// go_on (sampler/continuation.hpp) and vocabulary().
struct EntropyBranches {
    std::int64_t prompts = 128;
    std::int64_t rollouts = 16;
    std::int64_t initial = 8;
    std::int64_t window = 20;
    EntropyRule rule{};
    Generation generation{};

    using needs = columns<col::groups, col::prompt, col::mask, col::entropy>;
    using State = SpentOnBranches;
    template <class RunType, class Source, class BatchType>
    static constexpr bool draws_from = requires(RunType& run, Source& source, BatchType& batch) {
        source.go_on(run, batch, batch, std::span<const Continuation>(), Generation{});
        source.vocabulary();
    };

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        expect(1 <= initial && initial <= rollouts, [&] {
            return "entropy branches: " + std::to_string(initial) + " initial rollouts of " + std::to_string(rollouts) +
                   ", expected from 1 to all of them";
        });
        BatchType all;
        source.roll_out(run, all, prompts, initial, generation);
        std::vector<Group> groups(static_cast<std::size_t>(prompts));
        for (std::int64_t i = 0; i < all.sequences(); ++i) groups[std::size_t(i / initial)].members.push_back({i, 0});
        const Random random = run.random.of(Purpose::branch).at(static_cast<std::uint32_t>(run.progress.iteration));
        for (std::int64_t round = 0;; ++round) {
            const Growth growth = grow(groups, all, source.vocabulary(), round, random);
            if (growth.ended) break;
            const std::int64_t before = all.sequences();
            if (!growth.branches.empty()) {
                BatchType more;
                source.go_on(run, more, all, std::span<const Continuation>(growth.branches), generation);
                all.append(more);
            }
            if (!growth.fresh.empty()) {
                BatchType more;
                source.roll_out(run, more, std::span<const std::int64_t>(growth.fresh), 1, generation);
                all.append(more);
            }
            for (std::size_t k = 0; k < growth.owner.size(); ++k)
                groups[growth.owner[k]].members.push_back({before + std::int64_t(k), growth.begun[k]});
            state.branches += std::ssize(growth.branches);
        }
        batch = in_groups(all, groups);
        state.rollouts += batch.sequences();
        score(batch);
    }

private:
    struct Member {
        std::int64_t sequence;  ///< of all that was rolled out
        std::int64_t begun;     ///< the round of its first result
    };
    struct Group {
        std::vector<Member> members;
        std::uint32_t tries = 0;
    };
    /// What is to be rolled out: branches, then prompts. For each, the group it belongs to and its first round.
    struct Growth {
        std::vector<Continuation> branches;
        std::vector<std::int64_t> fresh;
        std::vector<std::size_t> owner;
        std::vector<std::int64_t> begun;
        bool ended = true;  ///< no rollout goes on, and none begins
    };

    template <class BatchType>
    Growth grow(std::vector<Group>& groups, const BatchType& all, double vocabulary, std::int64_t round,
                const Random& random) const {
        Growth growth;
        std::vector<std::size_t> anew;
        for (std::size_t g = 0; g < groups.size(); ++g) {
            Group& group = groups[g];
            std::vector<BranchSource> sources;
            std::vector<std::int64_t> cuts;
            for (const Member& member : group.members) {
                auto places = detail::resumptions(all, member.sequence);
                const std::int64_t k = round - member.begun;
                const bool active = 0 <= k && k < std::ssize(places);
                cuts.push_back(active ? places[static_cast<std::size_t>(k)] : 0);
                sources.push_back({active, entropy_at(all, member.sequence, 0, vocabulary),
                                   active ? entropy_at(all, member.sequence, cuts.back(), vocabulary) : 0.0});
                if (active) growth.ended = false;
            }
            auto made = rule.round(sources, std::ssize(group.members), rollouts,
                                   [&] { return random.uniform(std::uint32_t(g), group.tries++); });
            for (std::size_t i = 0; i < sources.size(); ++i)
                for (std::int64_t k = 0; k < made.branches[i]; ++k) {
                    growth.branches.push_back({group.members[i].sequence, cuts[i], std::int64_t(i), {}});
                    growth.owner.push_back(g);
                    growth.begun.push_back(group.members[i].begun);
                }
            if (made.fresh > 0) anew.push_back(g);
        }
        for (std::size_t g : anew) {
            growth.ended = false;
            growth.fresh.push_back(all[col::prompt{}][static_cast<std::size_t>(groups[g].members.front().sequence)]);
            growth.owner.push_back(g);
            growth.begun.push_back(round + 1);
        }
        return growth;
    }
    template <class BatchType>
    double entropy_at(const BatchType& all, std::int64_t sequence, std::int64_t place, double vocabulary) const {
        return window_entropy(detail::own_segment(all, sequence, place), window, vocabulary);
    }
    template <class BatchType>
    static BatchType in_groups(const BatchType& all, const std::vector<Group>& groups) {
        BatchType batch;
        std::vector<std::int64_t> offsets{0};
        for (const Group& group : groups) {
            for (const Member& member : group.members)
                batch.append(all.slice_sequences(member.sequence, member.sequence + 1));
            offsets.push_back(batch.sequences());
        }
        batch.set_offsets(col::groups{}, offsets);
        return batch;
    }
};
ROARS_FIELDS(EntropyBranches, prompts, rollouts, initial, window, rule, generation)

}  // namespace roars::sampler
