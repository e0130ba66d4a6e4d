#include "golden.hpp"
#include "rows.hpp"

#include "roars/algorithm.hpp"
#include "roars/critic/cautious_value.hpp"
#include "roars/critic/twin_delayed.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/optimizer/surrogates/variational.hpp"
#include "roars/regularizer/advantage_constraint.hpp"

namespace roars::golden::of_a2pr {
namespace {

Json model_loss(const Inputs& in) {
    surrogate::Variational term{in.real("vae_weight"), in.real("vae_kl_coef"), in.real("advantage_threshold")};
    auto batch = rows_of_transitions<surrogate::Variational>(in, "q");
    fill_rows(batch, col::reconstruction{}, in, "reconstruction");
    fill_rows(batch, col::action{}, in, "action");
    fill_rows(batch, col::latent_mean{}, in, "latent_mean");
    fill_rows(batch, col::latent_deviation{}, in, "latent_std");
    fill_rows(batch, col::taken_q{}, in, "q");
    fill_rows(batch, col::value{}, in, "value");
    auto result = mean_over_rows(batch, term);
    std::vector<int> selected;
    for (std::int64_t i = 0; i < batch.tokens(); ++i)
        selected.push_back(term.selected(batch.row(col::taken_q{}, i)[0], batch.row(col::value{}, i)[0]));
    return {{"selected", selected},
            {"recon_loss", result.metric("reconstruction_loss")},
            {"kl_loss", result.metric("latent_divergence")},
            {"loss", result.loss()},
            {"grad_reconstruction", json_of_column(batch, col::grad<col::reconstruction>{})},
            {"grad_latent_mean", json_of_column(batch, col::grad<col::latent_mean>{})},
            {"grad_latent_std", json_of_column(batch, col::grad<col::latent_deviation>{})}};
}

Json constraint(const Inputs& in) {
    regularizer::AdvantageConstraint term{in.real("constraint_weight")};
    auto batch = rows_of_transitions<regularizer::AdvantageConstraint>(in, "q_data");
    fill_rows(batch, col::policy_action{}, in, "policy_action");
    fill_rows(batch, col::action{}, in, "action");
    fill_rows(batch, col::model_action{}, in, "action_vae");
    fill_rows(batch, col::taken_q{}, in, "q_data");
    fill_rows(batch, col::model_q{}, in, "q_vae");
    fill_rows(batch, col::value{}, in, "value");
    auto result = mean_over_rows(batch, term);
    Json guides = Json::array();
    std::vector<int> active;
    for (std::int64_t i = 0; i < batch.tokens(); ++i) {
        auto guide =
            term.guide(batch.row(col::model_q{}, i)[0], batch.row(col::taken_q{}, i)[0], batch.row(col::value{}, i)[0]);
        guides.push_back(guide.of_model ? batch.row(col::model_action{}, i) : batch.row(col::action{}, i));
        active.push_back(guide.active);
    }
    return {{"guide", guides},
            {"active", active},
            {"loss", result.loss()},
            {"grad_policy_action", json_of_column(batch, col::grad<col::policy_action>{})}};
}

Json actor_loss(const Inputs& in) {
    backend::Host host;
    Run run{host};
    surrogate::NormalisedClimb climb{.alpha = in.real("alpha"), .floor = in.real("q_scale_floor")};
    auto batch = rows_of_transitions<surrogate::NormalisedClimb>(in, "q_policy");
    fill_rows(batch, col::q{}, in, "q_policy");
    fill_rows(batch, col::q_gradient{}, in, "q_gradient");
    batch.set_width(col::policy_action{}, batch.width(col::q_gradient{}));
    auto result = mean_over_rows(batch, climb);
    Table gradient(in, "constraint_grad");
    for (std::size_t i = 0; i < gradient.values.size(); ++i)
        gradient.values[i] += batch[col::grad<col::policy_action>{}][i];
    return {{"q_scale", climb.with(roars::detail::reduce_base(climb, run, batch)).scale},
            {"loss", result.loss() + in.real("constraint_loss")},
            {"grad_policy_action", json_of(gradient)}};
}

Json targets(const Inputs& in) {
    using View = std::span<const double>;
    backend::Host host;
    double bound = in.real("max_action");
    critic::TwinDelayed twin{in.real("gamma"), in.real("policy_noise"), in.real("noise_clip"), -bound, bound};
    Table action(in, "target_policy_action"), noise(in, "noise");
    twin.smooth(host, View(action.values), View(noise.values), std::span(action.values));
    auto reward = in.reals("reward"), done = in.reals("done"), target_q1 = in.reals("target_q1"),
         target_q2 = in.reals("target_q2"), online_q1 = in.reals("online_q1"), online_q2 = in.reals("online_q2");
    std::vector<double> critic_target(reward.size()), value_target(reward.size());
    twin.target(host, View(reward), View(done), View(target_q1), View(target_q2), std::span(critic_target));
    critic::CautiousValue{twin.gamma}.target(host, View(reward), View(done), View(critic_target), View(online_q1),
                                             View(online_q2), std::span(value_target));
    return {{"next_action", json_of(action)}, {"critic_target", critic_target}, {"value_target", value_target}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("11-a2pr", "loss", "loss.1")] = model_loss;
    registry[key("11-a2pr", "regularizer", "regularizer")] = constraint;
    registry[key("11-a2pr", "loss", "loss.2")] = actor_loss;
    registry[key("11-a2pr", "target", "target")] = targets;
}

}  // namespace roars::golden::of_a2pr
