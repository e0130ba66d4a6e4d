#include <span>

#include "golden.hpp"
#include "rows.hpp"

#include "roars/actors/heads.hpp"
#include "roars/advantage/critic_weight.hpp"
#include "roars/advantage/exponential_weight.hpp"
#include "roars/critic/batch_constrained.hpp"
#include "roars/critic/behaviour_regularised.hpp"
#include "roars/critic/conservative.hpp"
#include "roars/critic/twin_delayed.hpp"
#include "roars/networks/variational.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/optimizer/surrogates/variational.hpp"
#include "roars/regularizer/mean_discrepancy.hpp"
#include "roars/regularizer/near_action.hpp"
#include "roars/regularizer/tuned_weight.hpp"
#include "roars/run.hpp"

/// What d3rlpy says of the parts that have a counterpart there: tests/golden/make_d3rlpy.py.
namespace roars::golden::of_d3rlpy {
namespace {

using Reals = std::vector<double>;
using View = std::span<const double>;

Json regularised_target(const Inputs& in) {
    backend::Host host;
    critic::TwinDelayed twin{.sigma = in.real("sigma"), .noise_clip = in.real("noise_clip")};
    Table action(in, "policy_action"), noise(in, "noise"), q(in, "next_q"), next_action(in, "next_action");
    twin.smooth(host, View(action.values), View(noise.values), std::span(action.values));
    Reals reward = in.reals("reward"), terminated = in.reals("terminated"), target(reward.size());
    critic::BehaviourRegularised{in.real("gamma"), in.real("beta")}.target(
        host, View(reward), View(terminated), View(q.rows()[0]), View(q.rows()[1]), std::as_const(action).rows(),
        std::as_const(next_action).rows(), std::span(target));
    return {{"action", json_of(action)}, {"target", target}};
}
Json regularised_policy(const Inputs& in) {
    auto batch = rows_of_transitions<surrogate::NormalisedClimb, regularizer::BehaviourCloning>(in, "q");
    fill_rows(batch, col::policy_action{}, in, "policy_action");
    fill_rows(batch, col::action{}, in, "action");
    fill_rows(batch, col::q{}, in, "q");
    fill_rows(batch, col::q_gradient{}, in, "q_gradient");
    surrogate::NormalisedClimb climb{.alpha = 1.0};
    regularizer::BehaviourCloning near{in.real("beta") * double(batch.width(col::action{}))};
    auto result = mean_over_rows(batch, climb, near);
    return {{"loss", result.loss()}, {"grad_policy_action", json_of_column(batch, col::grad<col::policy_action>{})}};
}

/// Mean over the critics; q [critics, rows].
Reals mean_of_critics(const Table& q) {
    Reals mean;
    for (std::int64_t k = 0; k < q.count(); ++k)
        critic::take_member<critic::PolicyValue::mean>(k, q.count(), q.rows()[k], mean);
    return mean;
}
template <class Value, class Weight>
Json weights(const Inputs& in, const Weight& part) {
    Reals q = mean_of_critics(Table(in, "q")), own = mean_of_critics(Table(in, "policy_q")), value, weight;
    critic::Rows<const double> by_state{own, in.whole("samples")};
    for (std::int64_t i = 0; i < by_state.count(); ++i) {
        value.push_back(Value::of(by_state[i]));
        weight.push_back(part.of(q[std::size_t(i)], value.back()));
    }
    return {{"q", q}, {"value", value}, {"weight", weight}};
}
template <class Weight>
Json weights(const Inputs& in, const Weight& part) {
    if (in.text("kind") == "mean") return weights<advantage::state_value::MeanOfActions>(in, part);
    return weights<advantage::state_value::LargestOfActions>(in, part);
}
Json binary_weight(const Inputs& in) { return weights(in, advantage::BinaryWeight{}); }
Json exponential_weight(const Inputs& in) {
    return weights(in, advantage::ExponentialWeight<>{.temperature = 1.0 / in.real("beta"), .cap = in.real("cap")});
}

Json calibrated(const Inputs& in) {
    backend::Host host;
    Table q(in, "q"), density(in, "log_density"), floor = q, grad = q;
    Reals data = in.reals("q_data"), returns = in.reals("returns");
    for (std::int64_t i = 0; i < q.count(); ++i)
        for (std::int64_t j = 0; j < q.width; ++j)
            floor.rows()[i][std::size_t(j)] =
                j < in.whole("policy_samples") ? returns[std::size_t(i)] : -std::numeric_limits<double>::infinity();
    critic::CalibratedConservative part;
    double penalty = part.penalty(host, std::as_const(q).rows(), std::as_const(floor).rows(),
                                  std::as_const(density).rows(), View(data), grad.rows());
    critic::SampledConservative held{.alpha = in.real("weight"), .threshold = in.real("threshold")};
    return {{"loss", held.lagrangian(penalty)}};
}

Json model_loss(const Inputs& in) {
    surrogate::Variational term{.divergence_weight = in.real("beta"), .threshold = -1.0};
    auto batch = rows_of_transitions<surrogate::Variational>(in, "action");
    fill_rows(batch, col::reconstruction{}, in, "reconstruction");
    fill_rows(batch, col::action{}, in, "action");
    fill_rows(batch, col::latent_mean{}, in, "latent_mean");
    fill_rows(batch, col::latent_deviation{}, in, "latent_deviation");
    return {{"loss", mean_over_rows(batch, term).loss()},
            {"grad_reconstruction", json_of_column(batch, col::grad<col::reconstruction>{})},
            {"grad_latent_mean", json_of_column(batch, col::grad<col::latent_mean>{})},
            {"grad_latent_deviation", json_of_column(batch, col::grad<col::latent_deviation>{})}};
}

Reals constrained_target(const Inputs& in) {
    backend::Host host;
    Table q(in, "next_q");
    Reals reward = in.reals("reward"), terminated = in.reals("terminated"), target(reward.size());
    critic::BatchConstrained{in.real("gamma"), in.real("pessimism")}.target(host, View(reward), View(terminated),
                                                                            std::as_const(q).rows(), std::span(target));
    return target;
}
Json batch_constrained(const Inputs& in) { return {{"target", constrained_target(in)}}; }

/// The loss of a policy that climbs, and its slope by the action.
template <class Actions>
std::pair<double, Reals> climb(const Inputs& in, const Actions& action, std::int64_t width) {
    auto batch = rows_of_transitions<surrogate::Climb>(in, "q");
    batch.set_width(col::policy_action{}, width);
    std::copy(action.begin(), action.end(), batch[col::policy_action{}].begin());
    fill_rows(batch, col::q{}, in, "q");
    fill_rows(batch, col::q_gradient{}, in, "q_gradient");
    double loss = mean_over_rows(batch, surrogate::Climb{}).loss();
    auto slope = batch[col::grad<col::policy_action>{}];
    return {loss, Reals(slope.begin(), slope.end())};
}
Json moved_action(const Inputs& in) {
    backend::Host host;
    critic::Perturbation part{.range = in.real("range")};
    Table drawn(in, "drawn"), u(in, "u"), action = drawn, by_u = drawn;
    part.apply(host, View(drawn.values), View(u.values), std::span(action.values));
    auto [loss, slope] = climb(in, action.values, action.width);
    part.backward(host, View(drawn.values), View(u.values), View(slope), std::span(by_u.values));
    return {{"action", json_of(action)}, {"loss", loss}, {"grad_u", json_of(by_u)}};
}

/// A decoder without hidden layers of the case's weights; its encoder is not asked.
struct CaseDecoder {
    network::Variational<double> network;
    Reals parameters;

    CaseDecoder(const Inputs& in, const Table& state, const Table& said) {
        Table weight(in, "weight");
        network = network::Variational<double>(
            {.state_width = state.width, .action_width = weight.width, .code_width = said.width, .hidden = {}});
        parameters.assign(std::size_t(network.parameters()), 0.0);
        std::copy(weight.values.begin(), weight.values.end(),
                  parameters.end() - std::ptrdiff_t(weight.values.size()) - std::ptrdiff_t(weight.width));
    }
    Reals decode(const Table& state, Table code) {
        for (double& each : code.values) each *= 2.0;
        auto action = network.decode(parameters, state.values, code.values);
        return {action.begin(), action.end()};
    }
};
Json latent_target(const Inputs& in) {
    Table state(in, "state"), said(in, "said");
    CaseDecoder decoder(in, state, said);
    Reals action = decoder.decode(state, said);
    return {{"action", json_of_rows(action, decoder.network.settings().action_width)},
            {"target", constrained_target(in)}};
}
Json latent_policy(const Inputs& in) {
    Table state(in, "state"), said(in, "said"), by_said = said;
    CaseDecoder decoder(in, state, said);
    Reals action = decoder.decode(state, said);
    auto [loss, slope] = climb(in, action, decoder.network.settings().action_width);
    decoder.network.backward_code(decoder.parameters, slope, by_said.values);
    for (double& each : by_said.values) each *= 2.0;
    return {{"loss", loss}, {"grad_said", json_of(by_said)}};
}

template <class Kernel>
Json discrepancy(const Inputs& in) {
    using Term = regularizer::MeanDiscrepancy<Kernel>;
    Term term{.kernel = {in.real("sigma")}, .coefficient = in.real("alpha")};
    auto batch = rows_of_transitions<Term>(in, "policy_samples");
    fill_rows(batch, col::policy_samples{}, in, "policy_samples");
    fill_rows(batch, col::model_samples{}, in, "model_samples");
    batch.set_width(col::action{}, in.whole("width"));
    auto result = mean_over_rows(batch, term);
    regularizer::TunedWeight weight{.target = in.real("threshold")};
    regularizer::TunedWeight::State state{.log_weight = std::log(in.real("alpha"))};
    const double mean = result.metric("discrepancy");
    return {{"discrepancy", mean},
            {"loss", result.loss() - in.real("alpha") * in.real("threshold")},
            {"grad_policy_samples", json_of_column(batch, col::grad<col::policy_samples>{})},
            // Its loss has a half, CQL's.
            {"log_alpha_slope", 2.0 * weight.slope(state, mean)}};
}

Json sequence_actions(const Inputs& in) {
    auto batch = rows_of_transitions<regularizer::BehaviourCloning>(in, "action");
    fill_rows(batch, col::policy_action{}, in, "policy_action");
    fill_rows(batch, col::action{}, in, "action");
    // The sum over an action's numbers, not their mean.
    regularizer::BehaviourCloning near{double(batch.width(col::action{}))};
    double loss = mean_over_rows(batch, near).loss();
    return {{"loss", loss}, {"grad_policy_action", json_of_column(batch, col::grad<col::policy_action>{})}};
}
Json sequence_tokens(const Inputs& in) {
    Table logits(in, "logits"), grad(logits.count(), logits.width);
    auto batch = rows_of_transitions<surrogate::Likelihood>(in, "action");
    std::vector<std::int32_t> action;
    for (std::int64_t each : in.wholes("action")) action.push_back(static_cast<std::int32_t>(each));
    actor::Categorical head{logits.width};
    head.log_probability<double>(logits.values, {}, action, batch[col::logp{}], {});
    double loss = mean_over_rows(batch, surrogate::Likelihood{}).loss();
    head.d_log_probability<double>(logits.values, {}, action, batch[col::grad<col::logp>{}], {}, grad.values, {});
    return {{"loss", loss}, {"grad_logits", json_of(grad)}};
}

}  // namespace

void add(Registry& registry) {
    auto add = [&](const char* stage, const char* name, Evaluate evaluate) {
        registry[key("d3rlpy", stage, name)] = evaluate;
    };
    add("target", "rebrac", regularised_target);
    add("loss", "rebrac", regularised_policy);
    add("advantage", "crr_binary", binary_weight);
    add("advantage", "crr_exp", exponential_weight);
    add("regularizer", "cal_ql", calibrated);
    add("loss", "model", model_loss);
    add("target", "bcq", batch_constrained);
    add("loss", "bcq", moved_action);
    add("target", "plas", latent_target);
    add("loss", "plas", latent_policy);
    add("regularizer", "bear_gaussian", discrepancy<regularizer::kernel::Gaussian>);
    add("loss", "decision_transformer", sequence_actions);
    add("loss", "discrete_decision_transformer", sequence_tokens);
    add("regularizer", "bear_laplacian", discrepancy<regularizer::kernel::Laplacian>);
}

}  // namespace roars::golden::of_d3rlpy
