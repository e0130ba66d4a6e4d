#include "golden.hpp"
#include "terms.hpp"

#include "roars/methods/direct_advantage.hpp"
#include "roars/metrics/regression_optimum.hpp"

namespace roars::golden::of_direct_advantage_po {
namespace {

/// A group for each state, a sequence of one token for each of its completions; the state's value stands at each.
Json critic_target(const Inputs& in) {
    using Method = methods::DirectAdvantageCritic;
    auto successes = in.wholes("successes"), completions = in.wholes("completions");
    auto logit = in.reals("value_logit");
    std::vector<std::int64_t> groups{0}, offsets{0};
    for (std::int64_t count : completions) groups.push_back(groups.back() + count);
    for (std::int64_t i = 0; i < groups.back(); ++i) offsets.push_back(i + 1);
    Batch<double, Method::Columns> batch(offsets, groups);
    for (std::size_t g = 0; g < successes.size(); ++g)
        for (std::int64_t i = groups[g]; i < groups[g + 1]; ++i) {
            batch[col::outcome{}][std::size_t(i)] = i - groups[g] < successes[g] ? 1.0 : 0.0;
            batch[col::value{}][std::size_t(i)] = logit[g];
        }
    auto result = engine::loss(methods::direct_advantage_critic, batch);
    std::vector<double> target(successes.size()), slope(successes.size());
    for (std::size_t g = 0; g < successes.size(); ++g)
        if (completions[g] > 0) {
            target[g] = batch[col::returns{}][std::size_t(groups[g])];
            slope[g] = batch[col::grad<col::value>{}][std::size_t(groups[g])];
        }
    return {{"value_target", target}, {"loss", result.loss()}, {"grad_value_logit", slope}};
}

/// Candidates of one token each.
Json candidates(const Inputs& in) {
    auto action = in.wholes("action");
    std::vector<std::int64_t> offsets(action.size() + 1);
    for (std::size_t i = 0; i < offsets.size(); ++i) offsets[i] = std::int64_t(i);
    Json json = in.json();
    json["token_offsets"] = offsets;
    json["group_offsets"] = json.at("candidate_offsets");
    json["answer"] = json.at("action");
    json["terminated"] = json.at("terminal");
    using Part = advantage::CandidateSteps;
    auto batch = batch_of<unite_t<needs_of<Part>, gives_of<Part>>>(Inputs(json));
    engine::estimate(Part{.gap = in.real("gap")}, batch);
    std::vector<std::int64_t> kept;
    for (std::size_t i = 0; i < action.size(); ++i)
        if (batch[col::selected{}][i] != 0.0) kept.push_back(std::int64_t(i));
    return {{"candidate_advantage", batch[col::sequence_advantage{}]}, {"kept", kept}};
}

Json regression(const Inputs& in) {
    auto method = methods::direct_advantage;
    method.optimizer.surrogate.beta = in.real("beta");
    Json json = in.json();
    json["selected"] = std::vector<double>(json.at("sequence_advantage").size(), 1.0);
    return ObjectiveCase(method, Inputs(json)).loss_and_gradient();
}

Json optimum(const Inputs& in) {
    auto best =
        metrics::regression_optimum(in.reals("ref"), in.reals("nu"), in.reals("action_advantage"), in.real("beta"));
    return {{"policy", best.policy}, {"lambda", best.lambda}, {"improvement", best.improvement}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("54-direct-advantage-po", "target", "target.1")] = critic_target;
    registry[key("54-direct-advantage-po", "advantage", "advantage")] = candidates;
    registry[key("54-direct-advantage-po", "loss", "loss")] = regression;
    registry[key("54-direct-advantage-po", "target", "target.2")] = optimum;
}

}  // namespace roars::golden::of_direct_advantage_po
