#include "engine.hpp"
#include "golden.hpp"

#include "roars/methods/spa_rl.hpp"
#include "roars/metrics/progress.hpp"

namespace roars::golden::of_spa_rl {
namespace {

Json loss(const Inputs& in) {
    const auto contribution = in.reals("contribution"), outcome = in.reals("outcome");
    std::vector<double> gradient(contribution.size());
    const double said = progress::loss(in.wholes("sequence_turn_offsets"), std::span(contribution), std::span(outcome),
                                       std::span(gradient));
    return {{"loss", said}, {"grad_contribution", gradient}};
}

Json fit(const Inputs& in) {
    const auto rows = in.rows("feature");
    const auto width = rows.empty() ? std::int64_t(0) : std::ssize(rows.front());
    std::vector<double> features;
    for (const auto& row : rows) features.insert(features.end(), row.begin(), row.end());
    const auto outcome = in.reals("outcome");
    const auto owner = in.wholes("sequence_turn_offsets");
    const auto found =
        progress::fit(owner, std::span<const double>(features), width, std::span(outcome), in.real("ridge"));
    std::vector<double> contribution, predicted(outcome.size());
    for (const auto& row : rows) contribution.push_back(found.contribution(std::span(row)));
    for (std::size_t i = 0; i < outcome.size(); ++i)
        for (std::int64_t k = owner[i]; k < owner[i + 1]; ++k)
            predicted[i] += contribution[static_cast<std::size_t>(k)];
    return {{"weight", found.weight},
            {"bias", found.bias},
            {"contribution", contribution},
            {"predicted_outcome", predicted}};
}

/// Contributions that are there already.
struct Told {
    using gives = columns<col::turn_reward>;
    [[maybe_unused]] static constexpr bool everywhere = true;
    template <class RunType, class BatchType>
    void score(RunType&, BatchType&) const {}
};

Json reward(const Inputs& in) {
    using Part = roars::reward::Then<Told, roars::reward::Grounding>;
    using Columns = unite_t<needs_of<Part>, gives_of<Part>, needs_of<regularizer::KlInTurnReward>,
                            gives_of<regularizer::KlInTurnReward>, columns<col::mask>>;
    Batch<double, Columns> batch(in.wholes("token_offsets"));
    batch.set_offsets(col::turns{}, in.wholes("turn_offsets"));
    batch.set_offsets(col::turn_owner{}, in.wholes("sequence_turn_offsets"));
    auto fill = [&](auto column, const std::string& name) {
        const auto values = in.reals(name);
        roars::detail::expect_size(name.c_str(), values.size(), std::ssize(batch[column]));
        std::copy(values.begin(), values.end(), batch[column].begin());
    };
    fill(col::turn_reward{}, "contribution");
    fill(col::executed{}, "grounding");
    fill(col::logp_old{}, "logp");
    if (in.has("logp_ref") || in.real("kl_coef", 0.0) != 0.0) fill(col::logp_ref{}, "logp_ref");
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    if (in.has("mask")) fill(col::mask{}, "mask");
    engine::score(Part{.second = {.alpha = in.real("alpha", 1.0), .beta = in.real("beta", 0.5)}}, batch);
    engine::shape(regularizer::KlInTurnReward{.coefficient = in.real("kl_coef", 0.0)}, batch);
    return {{"turn_reward", batch[col::turn_reward{}]}, {"token_reward", batch[col::token_reward{}]}};
}

Json advantage(const Inputs& in) {
    using Part = roars::advantage::GaeTokens<>;
    auto batch = batch_of<unite_t<needs_of<Part>, gives_of<Part>, columns<col::mask>>>(in);
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    engine::estimate(Part{.gamma = in.real("gamma", 1.0), .lambda = in.real("lambda", 0.95)}, batch);
    return {{"advantage", batch[col::advantage{}]}, {"value_target", batch[col::returns{}]}};
}

Json metric(const Inputs& in) {
    const auto executed = in.reals("grounding");
    const auto error = metrics::prediction_error(in.reals("predicted_outcome"), in.reals("outcome"));
    return {{"grounding_accuracy", metrics::grounding_accuracy(std::span(executed))},
            {"mean_absolute_error", error.mean_absolute},
            {"within_tenth", error.near}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("73-spa-rl", "target", "target.1")] = loss;
    registry[key("73-spa-rl", "target", "target.2")] = fit;
    registry[key("73-spa-rl", "reward", "reward")] = reward;
    registry[key("73-spa-rl", "advantage", "advantage")] = advantage;
    registry[key("73-spa-rl", "metric", "metric")] = metric;
}

}  // namespace roars::golden::of_spa_rl
