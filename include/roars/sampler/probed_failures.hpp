#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

#include "roars/concepts.hpp"
#include "roars/primitives/segments.hpp"
#include "roars/sampler/continuation.hpp"

/// Rollouts that failed are reopened with a hint. Source: REX-RAG, arXiv 2508.08149.
namespace roars::sampler {

/// P(h_j | h_<j) of every token of a pool of hints, one of which is drawn uniformly: of the hints that begin with the
/// same tokens and have one at place j, the share that has this one there. Shapes: token [tokens], offsets [hints + 1]
/// -> [tokens]. A prefix tree with counts, grown a place at a time.
inline std::vector<double> hint_probabilities(std::span<const std::int32_t> token, Offsets offsets) {
    std::vector<double> probability(token.size());
    std::vector<std::int64_t> node(static_cast<std::size_t>(segment_count(offsets)), 0);
    std::int64_t nodes = 1;
    bool more = true;
    for (std::int64_t place = 0; more; ++place) {
        more = false;
        std::map<std::pair<std::int64_t, std::int32_t>, std::pair<std::int64_t, std::int64_t>> child;  // number, hints
        std::map<std::int64_t, std::int64_t> hints;  // of a node, with a token at this place
        auto for_each = [&](auto&& use) {
            for (std::size_t h = 0; h < node.size(); ++h)
                if (offsets[h] + place < offsets[h + 1]) use(h, static_cast<std::size_t>(offsets[h] + place));
        };
        for_each([&](std::size_t h, std::size_t t) {
            more = true;
            auto& [number, count] = child[{node[h], token[t]}];
            if (count++ == 0) number = nodes++;
            ++hints[node[h]];
        });
        for_each([&](std::size_t h, std::size_t t) {
            const auto& [number, count] = child[{node[h], token[t]}];
            probability[t] = double(count) / double(hints[node[h]]);
            node[h] = number;
        });
    }
    return probability;
}

/// Which rollouts are probed, how many of their turns a probe keeps (all but the answer), with which hint.
struct ProbePlan {
    std::vector<std::int64_t> source, kept_turns, hint;
    double failure_rate = 0;
};
/// A rollout has failed iff its reward is below 1. It gets one probe iff it has failed and gate < probability; the hint
/// is number floor(pick hints). Shapes: reward, gate, pick, turns [rollouts]; gate and pick uniform.
inline ProbePlan plan_probes(std::span<const double> reward, std::span<const double> gate, std::span<const double> pick,
                             std::span<const std::int64_t> turns, std::int64_t hints, double probability) {
    ProbePlan plan;
    std::int64_t failures = 0;
    for (std::size_t i = 0; i < reward.size(); ++i) {
        if (!(reward[i] < 1)) continue;
        ++failures;
        if (!(gate[i] < probability)) continue;
        plan.source.push_back(static_cast<std::int64_t>(i));
        plan.kept_turns.push_back(std::max<std::int64_t>(0, turns[i] - 1));
        plan.hint.push_back(std::min(static_cast<std::int64_t>(pick[i] * double(hints)), hints - 1));
    }
    if (!reward.empty()) plan.failure_rate = double(failures) / double(reward.size());
    return plan;
}

/// The `count` probes (all, where there are fewer) of the highest score, the highest first; of equal ones the first.
inline std::vector<std::int64_t> most_plausible(std::span<const double> score, std::int64_t count) {
    std::vector<std::int64_t> order(score.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
        return score[static_cast<std::size_t>(a)] > score[static_cast<std::size_t>(b)];
    });
    order.resize(static_cast<std::size_t>(std::clamp<std::int64_t>(count, 0, std::ssize(order))));
    return order;
}

/// ln b of a token that was drawn from a mixture, b = (1 - mix) p_old + mix mu, mix the share of probes. mu is 0 for an
/// original rollout; of a probe p_old / z^(1/n) on the n tokens that it copied from a failure (of which there is a
/// share z), the hint's own probability on the hint, p_old behind it. b may exceed 1: mu is a ratio of densities there.
struct MixtureBehaviour {
    double mix = 0;
    double failure_rate = 0;

    double original(double logp_old) const { return std::log1p(-mix) + logp_old; }
    double copied(double logp_old, std::int64_t tokens) const {
        const double given = failure_rate > 0 ? std::pow(failure_rate, -1.0 / double(tokens)) : 1.0;
        return std::log((1 - mix) + mix * given) + logp_old;
    }
    double hint(double logp_old, double probability) const {
        const double own = original(logp_old), drawn = std::log(mix * probability), largest = std::max(own, drawn);
        if (largest == -std::numeric_limits<double>::infinity()) return largest;
        return largest + std::log(std::exp(own - largest) + std::exp(drawn - largest));
    }
    double continued(double logp_old) const { return logp_old; }
};

/// Groups of `group_size` rollouts, and the most plausible probes of those that failed. A failure (outcome below 1)
/// that the task would let ask more (`reopens`) is reopened with probability `probability`: its last turn goes, one of
/// the source's hints comes in its place, and the policy goes on. Of the probes the floor(keep_ratio originals) whose
/// hints the policy finds likeliest join the groups they come from. keep_ratio follows the share of probes that are
/// right: keep_ratio <- (1 - weight) keep_ratio + weight share, behind each batch with a probe. logp_behaviour becomes
/// the mixture's, for a ratio that is taken against it (surrogate::FromBehaviour). Asks of the source roll_out, go_on
/// (sampler/continuation.hpp), hint_tokens() and hint_offsets().
struct ProbedFailures {
    std::int64_t prompts = 512;
    std::int64_t group_size = 5;
    double probability = 0.2;
    double keep_ratio = 0.08;  ///< at the start
    double weight = 0.1;
    Generation generation{};

    using needs = columns<col::groups, col::turns, col::turn_owner, col::outcome, col::reopens, col::logp_old,
                          col::logp_behaviour>;
    struct State {
        std::int64_t rollouts = 0, probes = 0, right_probes = 0, kept_probes = 0;
        std::int64_t batches = 0;  ///< that had a probe
        double keep_ratio = 0;     ///< behind the last of them

        ROARS_MEMBERS(State, rollouts, probes, right_probes, kept_probes, batches, keep_ratio)
    };
    template <class RunType, class Source, class BatchType>
    static constexpr bool draws_from = requires(RunType& run, Source& source, BatchType& batch) {
        source.go_on(run, batch, batch, std::span<const Continuation>(), Generation{});
        source.hint_tokens();
        source.hint_offsets();
    };

    double ratio(const State& state) const { return state.batches > 0 ? state.keep_ratio : keep_ratio; }
    double next_ratio(double ratio, double share_right) const { return (1 - weight) * ratio + weight * share_right; }

    template <class RunType, class Source, class BatchType, class Score>
    void collect(RunType& run, State& state, Source& source, BatchType& batch, Score&& score) const {
        BatchType own, probes;
        source.roll_out(run, own, prompts, group_size, generation);
        const std::span<const std::int32_t> hint_tokens = source.hint_tokens();
        const Offsets hint_offsets = source.hint_offsets();
        expect(segment_count(hint_offsets) > 0, "probed failures: the pool has no hint, expected one or more");
        const ProbePlan plan = planned(run, own, segment_count(hint_offsets));
        std::vector<Continuation> reopened;
        for (std::size_t k = 0; k < plan.source.size(); ++k) {
            auto [begin, end] = ends_of(hint_offsets, plan.hint[k]);
            reopened.push_back({plan.source[k], tokens_of(own, plan.source[k], plan.kept_turns[k]), -1,
                                hint_tokens.subspan(begin, end - begin)});
        }
        if (!reopened.empty()) source.go_on(run, probes, own, std::span<const Continuation>(reopened), generation);

        std::vector<double> plausible;
        for (std::size_t k = 0; k < reopened.size(); ++k)
            plausible.push_back(mean_logp_of_hint(probes, k, reopened[k]));
        const auto kept =
            most_plausible(plausible, static_cast<std::int64_t>(std::floor(double(own.sequences()) * ratio(state))));
        const MixtureBehaviour mixture{
            double(kept.size()) / double(std::max<std::int64_t>(1, own.sequences() + std::ssize(kept))),
            plan.failure_rate};
        say_originals(own, mixture);
        const std::vector<double> of_hints = hint_probabilities(hint_tokens, hint_offsets);
        for (std::int64_t k : kept) {
            auto [begin, end] = ends_of(hint_offsets, plan.hint[std::size_t(k)]);
            say_probe(probes, std::size_t(k), reopened[std::size_t(k)].tokens,
                      std::span(of_hints).subspan(begin, end - begin), mixture);
        }
        join(batch, own, probes, plan, kept);
        count(state, own, probes, std::ssize(kept));
        score(batch);
    }

private:
    /// Of the rollouts that may be reopened; the rate is that of all.
    template <class RunType, class BatchType>
    ProbePlan planned(RunType& run, const BatchType& own, std::int64_t hints) const {
        const Random random = run.random.of(Purpose::branch).at(static_cast<std::uint32_t>(run.progress.iteration));
        std::vector<double> outcome(own[col::outcome{}].begin(), own[col::outcome{}].end()), gate, pick;
        std::vector<std::int64_t> turns;
        for (std::size_t i = 0; i < outcome.size(); ++i) {
            const bool reopens = own[col::reopens{}][i] != 0;
            gate.push_back(reopens ? random.uniform(std::uint32_t(i), 0) : 1.0);
            pick.push_back(random.uniform(std::uint32_t(i), 1));
            turns.push_back(own[col::turn_owner{}][i + 1] - own[col::turn_owner{}][i]);
        }
        return plan_probes(outcome, gate, pick, turns, hints, probability);
    }
    static std::pair<std::size_t, std::size_t> ends_of(Offsets offsets, std::int64_t i) {
        return {static_cast<std::size_t>(offsets[static_cast<std::size_t>(i)]),
                static_cast<std::size_t>(offsets[static_cast<std::size_t>(i) + 1])};
    }
    /// How many tokens the first `turns` turns of a sequence have.
    template <class BatchType>
    static std::int64_t tokens_of(const BatchType& batch, std::int64_t sequence, std::int64_t turns) {
        const auto first = static_cast<std::size_t>(batch[col::turn_owner{}][static_cast<std::size_t>(sequence)]);
        return batch[col::turns{}][first + static_cast<std::size_t>(turns)] - batch[col::turns{}][first];
    }
    template <class BatchType>
    static double mean_logp_of_hint(const BatchType& probes, std::size_t k, const Continuation& probe) {
        const auto first = static_cast<std::size_t>(probes.token_offsets()[k] + probe.tokens);
        double sum = 0;
        for (std::size_t t = 0; t < probe.inserted.size(); ++t) sum += double(probes[col::logp_old{}][first + t]);
        return probe.inserted.empty() ? 0.0 : sum / double(probe.inserted.size());
    }
    template <class BatchType>
    static void say_originals(BatchType& own, const MixtureBehaviour& mixture) {
        using Real = typename BatchType::Real;
        for (std::size_t t = 0; t < own[col::logp_old{}].size(); ++t)
            own[col::logp_behaviour{}][t] = static_cast<Real>(mixture.original(double(own[col::logp_old{}][t])));
    }
    template <class BatchType>
    static void say_probe(BatchType& probes, std::size_t k, std::int64_t copied, std::span<const double> hint,
                          const MixtureBehaviour& mixture) {
        const std::int64_t first = probes.token_offsets()[k], last = probes.token_offsets()[k + 1];
        for (std::int64_t t = first; t < last; ++t) {
            const auto at = static_cast<std::size_t>(t);
            const auto logp_old = double(probes[col::logp_old{}][at]);
            const std::int64_t place = t - first - copied;  // from the hint on
            probes[col::logp_behaviour{}][at] = static_cast<typename BatchType::Real>(
                place < 0                  ? mixture.copied(logp_old, copied)
                : place < std::ssize(hint) ? mixture.hint(logp_old, hint[static_cast<std::size_t>(place)])
                                           : mixture.continued(logp_old));
        }
    }
    /// Every group, and behind it its kept probes.
    template <class BatchType>
    static void join(BatchType& batch, const BatchType& own, const BatchType& probes, const ProbePlan& plan,
                     std::span<const std::int64_t> kept) {
        batch = BatchType();
        std::vector<std::int64_t> groups{0};
        for (std::size_t g = 0; g < static_cast<std::size_t>(own.groups()); ++g) {
            const std::int64_t first = own[col::groups{}][g], last = own[col::groups{}][g + 1];
            batch.append(own.slice_sequences(first, last));
            for (std::int64_t k : kept) {
                const std::int64_t from = plan.source[static_cast<std::size_t>(k)];
                if (first <= from && from < last) batch.append(probes.slice_sequences(k, k + 1));
            }
            groups.push_back(batch.sequences());
        }
        batch.set_offsets(col::groups{}, groups);
    }
    template <class BatchType>
    void count(State& state, const BatchType& own, const BatchType& probes, std::int64_t kept) const {
        state.rollouts += own.sequences() + probes.sequences();
        state.probes += probes.sequences();
        state.kept_probes += kept;
        if (probes.sequences() == 0) return;
        auto outcome = probes[col::outcome{}];
        const auto right = std::count_if(outcome.begin(), outcome.end(), [](auto x) { return !(x < 1); });
        state.right_probes += right;
        state.keep_ratio = next_ratio(ratio(state), double(right) / double(probes.sequences()));
        ++state.batches;
    }
};
ROARS_FIELDS(ProbedFailures, prompts, group_size, probability, keep_ratio, weight, generation)

}  // namespace roars::sampler
