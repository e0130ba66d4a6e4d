#include "golden.hpp"

#include "roars/critic/soft_planning.hpp"
#include "roars/metrics/policy_evaluation.hpp"
#include "roars/regularizer/cloned_policy.hpp"
#include "roars/sampler/widest_gap.hpp"

namespace roars::golden::of_demonstration_regularized {
namespace {

FiniteHorizon shape_of(const Inputs& in) {
    return {in.whole("horizon"), in.whole("num_states"), in.whole("num_actions")};
}
std::vector<std::int64_t> whole_rows(const Inputs& in, const std::string& name) {
    std::vector<std::int64_t> values;
    for (const auto& row : in.rows(name))
        for (double value : row) values.push_back(static_cast<std::int64_t>(value));
    return values;
}

Json clone(const Inputs& in) {
    FiniteHorizon shape = shape_of(in);
    auto state = whole_rows(in, "state"), action = whole_rows(in, "action");
    auto policy = regularizer::ClonedPolicy{}.clone(shape, state, action);
    return {{"policy", policy},
            {"log_likelihood", regularizer::ClonedPolicy::log_likelihood(shape, state, action, policy)}};
}

Json maximum(const Inputs& in) {
    auto q = in.rows("q"), reference = in.rows("policy_ref");
    critic::RegularisedMaximum part{in.real("kl_coef")};
    std::vector<double> values, divergences;
    std::vector<std::vector<double>> policy;
    for (std::size_t s = 0; s < q.size(); ++s) {
        policy.emplace_back(q[s].size());
        auto [value, kl] = part(q[s], reference[s], policy.back());
        values.push_back(value);
        divergences.push_back(kl);
    }
    return {{"policy", policy}, {"value", values}, {"kl", divergences}};
}

Json induction(const Inputs& in) {
    backend::Host host;
    critic::OptimisticPlanning part{.kl_coefficient = in.real("kl_coef"),
                                    .bonus_scale = in.real("bonus_scale"),
                                    .bonus_range = in.real("bonus_range"),
                                    .beta = in.real("beta")};
    auto plan =
        part.plan(host, shape_of(in), in.reals("transition_counts"), in.reals("reward"), in.reals("policy_ref"));
    return {{"q_upper", plan.q_upper},
            {"q_lower", plan.q_lower},
            {"value_upper", plan.value_upper},
            {"value_lower", plan.value_lower},
            {"policy", plan.policy}};
}

Json exploration(const Inputs& in) {
    using sampler::WidestGap;
    FiniteHorizon shape = shape_of(in);
    auto upper = in.reals("q_upper"), lower = in.reals("q_lower");
    std::int64_t at = WidestGap::switch_step(shape.horizon, in.real("uniform"));
    return {{"switch_step", at},
            {"exploration_policy", WidestGap::policy(shape, upper, lower, in.reals("policy"), at)},
            {"gap_bound", WidestGap::gap_bound(shape, upper, lower, in.real("kl_coef"))}};
}

Json evaluation(const Inputs& in) {
    auto worth = metrics::evaluate_policy(shape_of(in), in.reals("transition"), in.reals("reward"), in.reals("policy"),
                                          in.reals("policy_ref"));
    return {{"value", worth.value},
            {"trajectory_kl", worth.trajectory_kl},
            {"regularised_value", worth.regularised(in.real("kl_coef"))}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("22-demo-regularized-rl", "regularizer", "regularizer")] = clone;
    registry[key("22-demo-regularized-rl", "target", "target.1")] = maximum;
    registry[key("22-demo-regularized-rl", "target", "target.2")] = induction;
    registry[key("22-demo-regularized-rl", "sampler", "sampler")] = exploration;
    registry[key("22-demo-regularized-rl", "metric", "metric")] = evaluation;
}

}  // namespace roars::golden::of_demonstration_regularized
