#include "golden.hpp"
#include "terms.hpp"

#include "roars/methods/prorl.hpp"
#include "roars/metrics/estimates.hpp"

namespace roars::golden::of_prorl {
namespace {

Json loss(const Inputs& in) {
    auto method = methods::prorl;
    method.optimizer.surrogate = {.low = in.real("clip_low"), .high = in.real("clip_high")};
    get<0>(method.regularizer).coefficient = in.real("kl_coef");
    ObjectiveCase test(method, in);
    Json out = test.loss_and_gradient();
    out["kl"] = test.result->metric("kl");
    return out;
}

Json controller(const Inputs& in) {
    begin_again::OnPlateau part{.patience = in.whole("patience"),
                                .min_improvement = in.real("min_improvement"),
                                .max_drop = in.real("max_drop")};
    begin_again::OnPlateau::State state;
    std::vector<std::int64_t> reset, version;
    for (double score : in.reals("validation")) {
        reset.push_back(part.evaluated(state, score) ? 1 : 0);
        version.push_back(state.resets);
    }
    return {{"reset", reset}, {"reference_version", version}};
}

Json termination(const Inputs& in) {
    auto part = methods::prorl.reward;
    part.factor = in.real("stop_penalty_coef");
    auto reward = in.reals("reward"), ended = in.reals("ended");
    for (std::size_t i = 0; i < reward.size(); ++i) reward[i] = part.amended(reward[i], ended[i] == 0.0);
    return {{"reward", reward}};
}

Json pass_at_k(const Inputs& in) {
    std::int64_t samples = in.whole("samples");
    auto correct = in.wholes("correct");
    std::vector<double> mean, bound;
    for (std::int64_t k : in.wholes("k")) {
        expect(k <= samples, [&] { return "pass@k: k is " + std::to_string(k) + ", expected at most the samples"; });
        double sum = 0.0;
        for (std::int64_t c : correct) sum += metrics::pass_at_k(samples, c, k);
        mean.push_back(correct.empty() ? 0.0 : sum / double(correct.size()));
        bound.push_back(metrics::pass_at_k_bound(samples, correct, k));
    }
    return {{"pass_at_k", mean}, {"pass_at_k_bound", bound}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("51-prorl", "loss", "loss")] = loss;
    registry[key("51-prorl", "regularizer", "regularizer")] = controller;
    registry[key("51-prorl", "reward", "reward")] = termination;
    registry[key("51-prorl", "metric", "metric")] = pass_at_k;
}

}  // namespace roars::golden::of_prorl
