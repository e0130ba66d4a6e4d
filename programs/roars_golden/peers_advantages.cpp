#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "engine.hpp"
#include "golden.hpp"

#include "roars/advantage/best_minus_second.hpp"
#include "roars/advantage/decoupled_components.hpp"
#include "roars/advantage/exponential_weight.hpp"
#include "roars/advantage/gae.hpp"
#include "roars/advantage/gae_tokens.hpp"
#include "roars/advantage/optimal_token_baseline.hpp"
#include "roars/advantage/v_trace.hpp"
#include "roars/critic/behaviour_cloning.hpp"
#include "roars/critic/categorical.hpp"
#include "roars/critic/conservative.hpp"
#include "roars/critic/double_q.hpp"
#include "roars/critic/multistep.hpp"
#include "roars/critic/quantile.hpp"
#include "roars/critic/soft_actor_critic.hpp"
#include "roars/critic/target_network.hpp"
#include "roars/critic/twin_delayed.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogate.hpp"

namespace roars::golden::of_peers_advantages {
namespace {

using Values = std::vector<double>;
using View = std::span<const double>;

View view_of(const Values& values) { return values; }

/// A column of the inputs, or `size` times `otherwise`.
Values optional(const Inputs& in, const std::string& name, std::size_t size, double otherwise) {
    return in.has(name) ? in.reals(name) : Values(size, otherwise);
}

/// A batch whose mask is 1 everywhere and whose sequences are one group each where the inputs do not say otherwise.
template <class Set>
auto batch_with_mask(const Inputs& in) {
    auto batch = batch_of<unite_t<Set, columns<col::mask>>>(in);
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    return batch;
}

/// Runs an advantage on the columns it names and returns the batch.
template <class Part>
auto estimated(const Part& part, const Inputs& in) {
    auto batch = batch_with_mask<unite_t<needs_of<Part>, gives_of<Part>>>(in);
    engine::estimate(part, batch);
    return batch;
}
template <class Part>
Json advantage_of(const Part& part, const Inputs& in) {
    return estimated(part, in)[col::advantage{}];
}
template <class Part>
Json only_advantage(const Inputs& in) {
    return {{"advantage", advantage_of(Part{}, in)}};
}

Json gae(const Inputs& in) {
    auto batch = estimated(advantage::Gae<>{.gamma = in.real("gamma"), .lambda = in.real("lambda")}, in);
    return {{"advantage", batch[col::advantage{}]}, {"returns", batch[col::returns{}]}};
}

Json gae_tokens(const Inputs& in) {
    advantage::GaeTokens<> part{.gamma = in.real("gamma"), .lambda = in.real("lambda")};
    auto batch = estimated(part, in);
    return {{"raw_advantage", batch[col::advantage{}]},
            {"advantage", advantage_of(advantage::Whiten<advantage::GaeTokens<>>{part}, in)},
            {"returns", batch[col::returns{}]}};
}

Json v_trace(const Inputs& in) {
    auto batch = estimated(advantage::VTrace<>{.gamma = in.real("gamma"),
                                               .lambda = in.real("lambda", 1.0),
                                               .rho_clip = in.real("rho_clip"),
                                               .c_clip = in.real("c_clip"),
                                               .policy_rho_clip = in.real("rho_pg_clip")},
                           in);
    return {{"value_target", batch[col::returns{}]}, {"advantage", batch[col::advantage{}]}};
}

Json group_mean_batch_spread(const Inputs& in) {
    return {{"advantage", advantage_of(advantage::GroupMeanBatchSpread{.scale = {.eps = 1e-4}}, in)}};
}

Json scaled_mean_baseline(const Inputs& in) {
    return {{"advantage", advantage_of(advantage::ScaledMeanBaseline{.scale = {.norm = in.real("f_norm", 1.0)}}, in)}};
}

Json reinforce_plus_plus(const Inputs& in) {
    advantage::RewardToGo to_go{.gamma = in.real("gamma", 1.0)};
    return {{"returns", advantage_of(to_go, in)},
            {"advantage", advantage_of(advantage::ReinforcePlusPlus{to_go}, in)},
            {"baseline_advantage", advantage_of(advantage::ReinforcePlusPlusBaseline{}, in)}};
}

Json remax(const Inputs& in) {
    auto batch = batch_with_mask<columns<col::token_reward, col::greedy_outcome, col::advantage>>(in);
    Values greedy = in.reals("greedy_reward");
    roars::detail::expect_size("greedy_reward", greedy.size(), batch.sequences());
    std::copy(greedy.begin(), greedy.end(), batch[col::greedy_outcome{}].begin());
    engine::estimate(advantage::Remax{}, batch);
    return {{"advantage", batch[col::advantage{}]}};
}

Json decoupled_components(const Inputs& in) {
    auto rows = in.rows("component_reward");
    auto width = static_cast<std::int64_t>(rows.empty() ? 0 : rows.front().size());
    // The component rewards are rows, which batch_of does not fill.
    auto batch = batch_with_mask<columns<col::groups, col::advantage>>(in).with(columns<col::component_reward>{});
    batch.set_width(col::component_reward{}, width);
    for (std::size_t i = 0; i < rows.size(); ++i)
        std::copy(rows[i].begin(), rows[i].end(), batch.row(col::component_reward{}, std::int64_t(i)).begin());
    advantage::Gdpo part;
    Values weight = optional(in, "component_weight", static_cast<std::size_t>(width), 1.0);
    std::copy_n(weight.begin(), std::min(weight.size(), part.base.weight.size()), part.base.weight.begin());
    engine::estimate(part, batch);
    return {{"advantage", batch[col::advantage{}]}};
}

Json optimal_token_baseline(const Inputs& in) {
    if (!in.has("importance_weight")) return only_advantage<advantage::OptimalTokenBaseline<>>(in);
    return only_advantage<advantage::OptimalTokenBaseline<weight::Column<col::importance_weight>>>(in);
}

Json length_adaptive_lambda(const Inputs& in) {
    advantage::LengthAdaptiveGae<> part{.trace = {.alpha = in.real("alpha")}};
    auto batch = estimated(part, in);
    backend::Host host;
    Values lambda;
    for (std::int64_t length : detail::trainable_lengths<col::mask>(host, batch)) lambda.push_back(part.trace(length));
    return {{"lambda", lambda}, {"advantage", batch[col::advantage{}]}, {"value_target", batch[col::returns{}]}};
}

/// A matrix of the inputs, flat.
struct Matrix {
    Values values;
    std::int64_t width = 0;

    Matrix(const Inputs& in, const std::string& name) {
        for (const auto& row : in.rows(name)) {
            width = std::ssize(row);
            values.insert(values.end(), row.begin(), row.end());
        }
    }
    Matrix(std::size_t count, std::int64_t columns) : values(count), width(columns) {}
    static Matrix like(const Matrix& other) { return {other.values.size(), other.width}; }

    critic::Rows<const double> rows() const { return {values, width}; }
    critic::Rows<double> rows() { return {values, width}; }
    Json json() const {
        Json all = Json::array();
        for (std::int64_t i = 0; i < rows().count(); ++i) all.push_back(rows()[i]);
        return all;
    }
};
critic::Rows<const double> read(const Matrix& matrix) { return matrix.rows(); }

/// Rows of offline data as a batch: each row a token, none masked. The advantage is the policy's weight.
template <class Set>
auto batch_of_rows(const Inputs& in, std::size_t rows) {
    auto size = static_cast<std::int64_t>(rows);
    Batch<double, Set> batch(std::vector<std::int64_t>{0, size});
    auto fill = [&]<class Column>(Column column) {
        if (std::string name(Column::name); !is_gradient_v<Column> && in.has(name)) {
            Values values = in.reals(name);
            std::copy(values.begin(), values.end(), batch[column].begin());
        }
    };
    [&]<class... Column>(columns<Column...>) { (fill(Column{}), ...); }(Set{});
    return batch;
}

/// Mean over the rows of a term of the loss.
template <class BatchType, class Term>
double mean_loss(BatchType& batch, const Term& term) {
    return engine::terms(batch, aggregate::TokenMean{}, term).loss();
}

using RowColumns = columns<col::q, col::value, col::logp, col::advantage, col::grad<col::value>, col::grad<col::logp>>;

Json implicit_q_learning(const Inputs& in) {
    Values q1 = in.reals("q1"), q2 = optional(in, "q2", q1.size(), std::numeric_limits<double>::infinity());
    Values reward = in.reals("reward"), next = in.reals("next_value"), target(reward.size());
    Values terminated = optional(in, "terminated", reward.size(), 0.0);
    for (std::size_t i = 0; i < target.size(); ++i)
        target[i] = critic::one_step_target(reward[i], in.real("gamma"), terminated[i] != 0.0, next[i]);

    auto batch = batch_of_rows<RowColumns>(in, q1.size());
    for (std::size_t i = 0; i < q1.size(); ++i) batch[col::q{}][i] = std::min(q1[i], q2[i]);
    engine::estimate(
        advantage::ExponentialWeight<>{.temperature = in.real("temperature"), .cap = in.real("max_weight")}, batch);
    double value_loss = mean_loss(batch, critic::Expectile{.tau = in.real("expectile")});
    double policy_loss = mean_loss(batch, surrogate::PolicyGradient{});
    return {{"value_loss", value_loss},   {"grad_value", batch[col::grad<col::value>{}]},
            {"q_target", target},         {"weight", batch[col::advantage{}]},
            {"policy_loss", policy_loss}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}

Json awac_and_td3_bc(const Inputs& in) {
    Values q = in.reals("q"), grad_q(q.size());
    auto batch = batch_of_rows<RowColumns>(in, q.size());
    backend::Host host;
    engine::estimate(
        advantage::ExponentialWeight<>{.temperature = 1.0 / in.real("lambda"), .cap = in.real("max_weight")}, batch);
    Matrix action(in, "action"), policy_action(in, "policy_action"), grad_action = Matrix::like(action);
    critic::BehaviourCloning cloning{.alpha = in.real("alpha")};
    double loss =
        cloning.loss(host, view_of(q), read(policy_action), read(action), std::span(grad_q), grad_action.rows());
    return {{"awac_weight", batch[col::advantage{}]},
            {"awac_loss", mean_loss(batch, surrogate::PolicyGradient{})},
            {"td3_bc_scale", cloning.scale(host, view_of(q))},
            {"td3_bc_loss", loss},
            {"grad_q", grad_q},
            {"grad_action", grad_action.json()}};
}

Json conservative(const Inputs& in) {
    backend::Host host;
    Matrix q(in, "q"), log_density(in, "log_density"), grad_q = Matrix::like(q), grad_sampled = Matrix::like(q);
    auto action = in.wholes("action_index");
    critic::SampledConservative sampled{
        .temperature = in.real("temperature"), .alpha = in.real("alpha"), .threshold = in.real("threshold")};
    double discrete = critic::conservative_penalty(host, read(q), std::span<const std::int64_t>(action), grad_q.rows());
    double penalty =
        sampled.penalty(host, read(q), read(log_density), view_of(in.reals("q_data")), grad_sampled.rows());
    return {{"discrete", discrete},
            {"grad_q", grad_q.json()},
            {"sampled", penalty},
            {"grad_sampled", grad_sampled.json()},
            {"lagrange", sampled.lagrangian(penalty)}};
}

Json control_targets(const Inputs& in) {
    backend::Host host;
    double gamma = in.real("gamma"), alpha = in.real("alpha");
    Values reward = in.reals("reward"), q1 = in.reals("q1"), q2 = in.reals("q2"), logp = in.reals("logp");
    Values terminated = optional(in, "terminated", reward.size(), 0.0);
    Values soft(reward.size()), smallest(reward.size()), chosen(reward.size());

    critic::SoftActorCritic sac{.gamma = gamma, .target_entropy = in.real("target_entropy")};
    sac.target(host, alpha, view_of(reward), view_of(terminated), view_of(q1), view_of(q2), view_of(logp),
               std::span(soft));
    double slope = sac.temperature_slope(host, view_of(logp));

    critic::TwinDelayed td3{.gamma = gamma,
                            .sigma = in.real("sigma"),
                            .noise_clip = in.real("noise_clip"),
                            .low = in.real("low"),
                            .high = in.real("high")};
    Values policy_action = in.reals("policy_action"), noise = in.reals("noise"), action(policy_action.size());
    td3.smooth(host, view_of(policy_action), view_of(noise), std::span(action));
    td3.target(host, view_of(reward), view_of(terminated), view_of(q1), view_of(q2), std::span(smallest));

    Matrix online(in, "q_online"), q_target(in, "q_target");
    critic::DoubleQ{.gamma = gamma}.target(host, view_of(reward), view_of(terminated), read(online), read(q_target),
                                           std::span(chosen));
    Values parameter = in.reals("parameter"), followed = in.reals("target_parameter");
    critic::Polyak{.tau = in.real("tau")}.follow(host, view_of(parameter), std::span(followed));
    return {{"sac_target", soft},
            {"sac_actor_loss", sac.actor_loss(host, alpha, view_of(logp), view_of(q1))},
            {"temperature_loss", std::log(alpha) * slope},
            {"grad_log_alpha", slope},
            {"td3_action", action},
            {"td3_target", smallest},
            {"double_dqn_target", chosen},
            {"polyak", followed}};
}

Json distributional(const Inputs& in) {
    backend::Host host;
    Values atoms = in.reals("atoms"), reward = in.reals("reward");
    Values terminated = optional(in, "terminated", reward.size(), 0.0);
    Matrix next(in, "next_probability"), logits(in, "logits"), projected = Matrix::like(next),
                                                               grad_logits = Matrix::like(logits);
    critic::CategoricalProjection{.gamma = in.real("gamma")}.project(host, view_of(atoms), view_of(reward),
                                                                     view_of(terminated), read(next), projected.rows());
    double cross_entropy = critic::cross_entropy(host, read(logits), read(projected), grad_logits.rows());
    Matrix theta(in, "quantile"), target(in, "target_quantile"), grad_theta = Matrix::like(theta);
    double quantile_loss =
        critic::QuantileHuber{.kappa = in.real("kappa", 1.0)}.loss(host, read(theta), read(target), grad_theta.rows());
    return {{"projected", projected.json()},
            {"cross_entropy", cross_entropy},
            {"grad_logits", grad_logits.json()},
            {"quantile_loss", quantile_loss},
            {"grad_quantile", grad_theta.json()}};
}

Json multistep(const Inputs& in) {
    auto batch = batch_of<
        columns<col::token_reward, col::next_value, col::terminated, col::done, col::q, col::logp, col::logp_old>>(in);
    backend::Host host;
    auto steps = critic::steps_of(batch);
    double gamma = in.real("gamma"), lambda = in.real("lambda");
    Values lambda_return(steps.reward.size()), retrace(lambda_return), n_step(lambda_return);
    critic::LambdaReturn{gamma, lambda}.target(host, steps, std::span(lambda_return));
    critic::Retrace{gamma, lambda}.target(host, steps, View(batch[col::q{}]), View(batch[col::logp{}]),
                                          View(batch[col::logp_old{}]), std::span(retrace));
    critic::NStep{gamma, in.whole("n")}.target(host, steps, std::span(n_step));
    return {{"lambda_return", lambda_return}, {"retrace", retrace}, {"n_step", n_step}};
}

}  // namespace

void add(Registry& registry) {
    auto add = [&](const std::string& stage, const std::string& rule, Evaluate evaluate) {
        registry[key("00-peers", stage, rule)] = evaluate;
    };
    add("advantage", "gae", gae);
    add("advantage", "gae_tokens", gae_tokens);
    add("advantage", "vtrace", v_trace);
    add("advantage", "rloo", only_advantage<advantage::LeaveOneOut>);
    add("advantage", "mean_baseline", only_advantage<advantage::GroupMean>);
    add("advantage", "length_weighted_baseline", only_advantage<advantage::LengthWeightedBaseline>);
    add("advantage", "best_minus_second", only_advantage<advantage::BestMinusSecond>);
    add("advantage", "leave_one_out_z", only_advantage<advantage::LeaveOneOutZScore>);
    add("advantage", "group_mean_batch_std", group_mean_batch_spread);
    add("advantage", "scaled_mean_baseline", scaled_mean_baseline);
    add("advantage", "reinforce_plus_plus", reinforce_plus_plus);
    add("advantage", "remax", remax);
    add("advantage", "decoupled_components", decoupled_components);
    add("advantage", "optimal_token_baseline", optimal_token_baseline);
    add("advantage", "length_adaptive_lambda", length_adaptive_lambda);
    add("target", "iql", implicit_q_learning);
    add("target", "awac_td3_bc", awac_and_td3_bc);
    add("target", "cql", conservative);
    add("target", "control_targets", control_targets);
    add("target", "distributional", distributional);
    add("target", "multistep", multistep);
}

}  // namespace roars::golden::of_peers_advantages
