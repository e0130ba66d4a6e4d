#include "engine.hpp"
#include "golden.hpp"

#include "roars/methods/adacot.hpp"
#include "roars/metrics/reasoning.hpp"

namespace roars::golden::of_adacot {
namespace {

/// Sequences without tokens, one for each number of `name`.
std::vector<std::int64_t> empty_sequences(const Inputs& in, const char* name) {
    return std::vector<std::int64_t>(in.reals(name).size() + 1, 0);
}

Json reward(const Inputs& in) {
    Batch<double, columns<col::outcome, col::reasoned, col::needs_reasoning, col::format, col::reward>> batch(
        empty_sequences(in, "base_reward"));
    auto base = in.reals("base_reward"), length = in.reals("think_length"), needed = in.reals("needs_cot"),
         misformed = in.reals("format_error");
    for (std::size_t i = 0; i < base.size(); ++i) {
        batch[col::outcome{}][i] = base[i];
        batch[col::reasoned{}][i] = length.at(i) > 0 ? 1 : 0;
        batch[col::needs_reasoning{}][i] = needed.at(i);
        batch[col::format{}][i] = misformed.at(i) != 0 ? 0 : 1;
    }
    reward::ReasoningCost<reward::Verified> part{
        .missing = in.real("alpha_miss"), .needless = in.real("alpha_over"), .misformed = in.real("gamma_format")};
    engine::score(part, batch);
    return {{"reasoned", batch[col::reasoned{}]}, {"reward", batch[col::reward{}]}};
}

Json loss(const Inputs& in) {
    auto batch = batch_of<
        columns<col::mask, col::decision, col::keep, col::logp, col::logp_old, col::advantage, col::grad<col::logp>>>(
        in);
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    auto decision = in.wholes("decision_token");
    Offsets offsets = batch.token_offsets();
    for (std::size_t i = 0; i < decision.size(); ++i)
        if (decision[i] >= 0 && offsets[i] + decision[i] < offsets[i + 1])
            batch[col::decision{}][static_cast<std::size_t>(offsets[i] + decision[i])] = 1;
    engine::shape(regularizer::SelectiveLossMask{}, batch);
    auto term = methods::adacot_masked.optimizer.surrogate;
    term.low = in.real("clip_low");
    term.high = in.real("clip_high");
    auto result = engine::terms(batch, methods::adacot_masked.optimizer.aggregate, term);
    return {
        {"mask_effective", batch[col::keep{}]}, {"loss", result.loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}

Json trigger_quality(const Inputs& in) {
    auto told = metrics::trigger_quality(in.reals("reasoned"), in.reals("needs_cot"), in.reals("score"));
    return {{"trigger_rate", told.trigger_rate},
            {"performance", told.performance},
            {"objective", told.objective(in.real("lambda_p"), in.real("lambda_t"))},
            {"accuracy", told.accuracy},
            {"precision", told.precision},
            {"recall", told.recall},
            {"f1", told.f1}};
}

Json front(const Inputs& in) {
    auto rate = in.reals("trigger_rate"), performance = in.reals("performance");
    return {{"front", metrics::pareto_front(rate, performance)},
            {"chord_gain",
             metrics::chord_gain(rate, performance, in.real("performance_never"), in.real("performance_always"))}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("48-adacot", "reward", "reward")] = reward;
    registry[key("48-adacot", "loss", "loss")] = loss;
    registry[key("48-adacot", "metric", "metric.1")] = trigger_quality;
    registry[key("48-adacot", "metric", "metric.2")] = front;
}

}  // namespace roars::golden::of_adacot
