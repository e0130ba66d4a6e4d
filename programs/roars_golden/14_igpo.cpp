#include "engine.hpp"
#include "golden.hpp"

#include "roars/methods/igpo.hpp"
#include "roars/metrics/groups.hpp"

namespace roars::golden::of_igpo {
namespace {

/// Tokens 0, 1, ... n - 1, a segment each.
std::vector<std::int64_t> one_each(std::int64_t n) {
    std::vector<std::int64_t> offsets;
    for (std::int64_t t = 0; t <= n; ++t) offsets.push_back(t);
    return offsets;
}

template <class Measure>
std::vector<double> gains(const std::vector<std::int64_t>& owner, const std::vector<double>& confidence) {
    using Scored = reward::Then<reward::Verified, reward::InformationGain<Measure>>;
    using Columns = unite_t<needs_of<Scored>, gives_of<Scored>>;
    Batch<double, Columns> batch{Offsets(owner)};  // a token a turn
    batch.set_offsets(col::turns{}, one_each(owner.back()));
    batch.set_offsets(col::turn_owner{}, owner);
    std::copy(confidence.begin(), confidence.end(), batch[col::confidence{}].begin());
    engine::score(Scored{}, batch);
    return {batch[col::turn_reward{}].begin(), batch[col::turn_reward{}].end()};
}

Json reward(const Inputs& in) {
    const auto answer = in.wholes("answer_offsets");
    const auto logp = in.reals("answer_logp");
    std::vector<double> confidence(answer.size() - 1);
    backend::Host host;
    roars::reward::mean_log_probability(host, answer, std::span(logp), std::span(confidence));
    const auto owner = in.wholes("sequence_turn_offsets");
    return {{"confidence", confidence},
            {"log_prob_diff", gains<roars::reward::gain::LogProbability>(owner, confidence)},
            {"prob_diff", gains<roars::reward::gain::Probability>(owner, confidence)}};
}

/// The advantage, and, by giving every turn a token of its own, the return of every turn.
template <class Pool>
void add_returns(const Inputs& in, const std::string& name, Json& to) {
    using Part = advantage::TurnReturns<Pool>;
    using Columns = unite_t<needs_of<Part>, gives_of<Part>, columns<col::mask>>;
    Part part{.gamma = in.real("gamma", 1.0)};
    part.spread.eps = in.real("eps", part.spread.eps);
    const auto turns = in.wholes("turn_offsets"), owner = in.wholes("sequence_turn_offsets");
    const auto groups = in.wholes("group_offsets");
    auto fill = [](auto column, const std::vector<double>& values) {
        roars::detail::expect_size("a column", values.size(), std::ssize(column));
        std::copy(values.begin(), values.end(), column.begin());
    };
    auto estimated = [&](const std::vector<std::int64_t>& tokens, const std::vector<std::int64_t>& of_turns,
                         const std::vector<double>& mask) {
        Batch<double, Columns> batch(tokens, groups);
        batch.set_offsets(col::turns{}, of_turns);
        batch.set_offsets(col::turn_owner{}, owner);
        fill(batch[col::turn_reward{}], in.reals("turn_reward"));
        fill(batch[col::reward{}], in.reals("reward"));
        fill(batch[col::mask{}], mask);
        engine::estimate(part, batch);
        return std::vector<double>(batch[col::advantage{}].begin(), batch[col::advantage{}].end());
    };
    const auto tokens = in.wholes("token_offsets");
    const std::vector<double> all(static_cast<std::size_t>(tokens.back()), 1.0);
    to["advantage_" + name] = estimated(tokens, turns, in.has("mask") ? in.reals("mask") : all);
    to["turn_return_" + name] =
        estimated(owner, one_each(owner.back()), std::vector<double>(static_cast<std::size_t>(owner.back()), 1.0));
}
Json advantage(const Inputs& in) {
    Json told;
    add_returns<pool::Separate>(in, "separate", told);
    add_returns<pool::Joint>(in, "joint", told);
    return told;
}

Json collapse(const Inputs& in) {
    const auto gain = in.reals("turn_reward"), outcome = in.reals("reward");
    auto share = metrics::advantage_collapse(in.wholes("group_offsets"), in.wholes("sequence_turn_offsets"),
                                             std::span(gain), std::span(outcome));
    return {{"outcome_collapse", share.outcome}, {"turn_collapse", share.turn}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("14-igpo", "reward", "reward")] = reward;
    registry[key("14-igpo", "advantage", "advantage")] = advantage;
    registry[key("14-igpo", "metric", "metric")] = collapse;
}

}  // namespace roars::golden::of_igpo
