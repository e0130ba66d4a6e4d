#include "golden.hpp"
#include "rows.hpp"

#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/dataset_constraint.hpp"
#include "roars/reward/scaled_step.hpp"
#include "roars/sampler/standardise.hpp"

namespace roars::golden::of_prdc {
namespace {

Json constraint(const Inputs& in) {
    backend::Host host;
    Run run{host};
    Table state(in, "data_state"), action(in, "data_action");
    regularizer::DatasetConstraint part{.beta = in.real("beta"), .k = in.whole("k")};
    auto data = part.rows_of<double>(state.values, state.width, action.values, action.width);
    auto term = std::get<0>(part.terms(data));
    auto batch = rows_of_transitions<decltype(term)>(in, "policy_action");
    fill_rows(batch, col::state{}, in, "state");
    fill_rows(batch, col::policy_action{}, in, "policy_action");
    auto result = mean_over_rows(batch, term);
    std::vector<std::int64_t> index;
    std::vector<double> distance;
    for (const Neighbour& each : term.neighbours(run, batch)) {
        index.push_back(each.index);
        distance.push_back(each.distance);
    }
    return {{"index", index},
            {"distance", distance},
            {"neighbour_action", json_of_column(batch, col::neighbour_action{})},
            {"loss", result.loss()},
            {"grad_policy_action", json_of_column(batch, col::grad<col::policy_action>{})}};
}

Json actor_loss(const Inputs& in) {
    backend::Host host;
    Run run{host};
    using Constraint = regularizer::NearAction<col::neighbour_action>;
    auto batch = rows_of_transitions<surrogate::NormalisedClimb, Constraint>(in, "q_policy");
    fill_rows(batch, col::q{}, in, "q_policy");
    fill_rows(batch, col::q_gradient{}, in, "q_gradient");
    fill_rows(batch, col::policy_action{}, in, "policy_action");
    fill_rows(batch, col::neighbour_action{}, in, "neighbour_action");
    surrogate::NormalisedClimb climb{.alpha = in.real("alpha"), .floor = in.real("q_scale_floor")};
    auto result = mean_over_rows(batch, climb, Constraint{});
    return {{"q_scale", climb.with(roars::detail::reduce_base(climb, run, batch)).scale},
            {"constraint_loss", result.term_loss[1]},
            {"loss", result.loss()},
            {"grad_policy_action", json_of_column(batch, col::grad<col::policy_action>{})}};
}

Json preparation(const Inputs& in) {
    backend::Host host;
    Table state(in, "state"), next_state(in, "next_state"), action(in, "action");
    sampler::Standardise standardise;
    auto moments = standardise.moments_of(host, std::as_const(state).rows());
    standardise.apply(host, moments, state.rows());
    standardise.apply(host, moments, next_state.rows());
    auto reward = in.reals("reward");
    const std::vector<std::int64_t> offsets{0, std::ssize(reward)};
    Batch<double, columns<col::step_reward, col::token_reward>> batch{Offsets(offsets)};
    std::copy(reward.begin(), reward.end(), batch[col::step_reward{}].begin());
    engine::score(reward::ScaledStep{in.real("reward_scale"), in.real("reward_shift")}, batch);
    auto joint =
        roars::detail::joint_rows(std::span(state.values), std::span(action.values), state.count(), in.real("beta"));
    auto divisor = moments.spread;
    for (double& each : divisor) each += standardise.eps;
    return {{"state_mean", moments.mean},
            {"state_std", divisor},
            {"normalized_state", json_of(state)},
            {"normalized_next_state", json_of(next_state)},
            {"shaped_reward", batch[col::token_reward{}]},
            {"rows", json_of_rows(joint, state.width + action.width)}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("13-prdc", "regularizer", "regularizer")] = constraint;
    registry[key("13-prdc", "loss", "loss")] = actor_loss;
    registry[key("13-prdc", "sampler", "sampler")] = preparation;
}

}  // namespace roars::golden::of_prdc
