#include "terms.hpp"

#include "roars/advantage/exponential_weight.hpp"
#include "roars/critic/dual_value.hpp"
#include "roars/critic/implicit_maximiser.hpp"
#include "roars/critic/recoil.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogate.hpp"

namespace roars::golden::of_dual_rl {
namespace {

using Values = std::vector<double>;

/// Loss and gradient by `value` of a critic's term, the mean over rows.
template <class Term>
void add_value_loss(Json& out, const Inputs& in, const std::string& name, const Term& term) {
    auto batch = batch_with_mask<ColumnsOf<Term>>(in, "value");
    auto result = engine::terms(batch, aggregate::TokenMean{}, term);
    out["loss_" + name] = result.loss();
    out["grad_value_" + name] = batch[col::grad<col::value>{}];
}
Json value_losses(const Inputs& in) {
    Json out;
    double tau = in.real("tau");
    add_value_loss(out, in, "chi_square", critic::ImplicitMaximiser<f_divergence::ChiSquare>{tau});
    add_value_loss(out, in, "total_variation", critic::ImplicitMaximiser<f_divergence::TotalVariation>{tau});
    add_value_loss(out, in, "gumbel", critic::GumbelRegression{in.real("temperature"), in.real("max_clip")});
    return out;
}

Json conjugates(const Inputs& in) {
    Json out;
    auto each = [&](const char* name, auto&& of) {
        out[name] = Json::array();
        for (double y : in.reals("y")) out[name].push_back(of(y));
    };
    using f_divergence::ChiSquare, f_divergence::ReverseKl, f_divergence::TotalVariation;
    each("kl_conjugate", [](double y) { return ReverseKl::conjugate(y); });
    each("kl_weight", [](double y) { return ReverseKl::weight(y); });
    each("chi_square_conjugate", [](double y) { return ChiSquare::conjugate(y); });
    each("chi_square_positive_conjugate", [](double y) { return ChiSquare::positive_conjugate(y); });
    each("chi_square_weight", [](double y) { return ChiSquare::weight(y); });
    each("total_variation_positive_conjugate", [](double y) { return TotalVariation::positive_conjugate(y); });
    return out;
}

Json dual_value(const Inputs& in) {
    critic::DualValue<> part{in.real("gamma"), in.real("kl_coef")};
    Values initial = in.reals("initial_value"), value = in.reals("value"), next = in.reals("next_value"),
           reward = in.reals("reward"), done = in.reals("done");
    Values weight(value.size()), grad_initial(initial.size()), grad(value.size()), grad_next(value.size());
    backend::Host host;
    double loss =
        part.loss<double>(host, {initial, value, next, reward, done}, {weight, grad_initial, grad, grad_next});
    return {{"loss", loss},
            {"weight", weight},
            {"grad_initial_value", grad_initial},
            {"grad_value", grad},
            {"grad_next_value", grad_next}};
}

Json recoil(const Inputs& in) {
    critic::Recoil part{in.real("gamma"), in.real("beta")};
    critic::RecoilStabilised stabilised{in.real("gamma"), in.real("q_max"), in.real("step_cost")};
    Values expert = in.reals("q_expert"), policy = in.reals("q_offline_policy"), mixture = in.reals("q_mixture"),
           next = in.reals("next_value"), done = in.reals("done");
    expect(in.whole("num_expert") == std::ssize(expert), "num_expert: expected the number of values of q_expert");
    Values grad_expert(expert.size()), grad_policy(policy.size()), grad(mixture.size()), grad_expert_stabilised(expert),
        grad_stabilised(mixture);
    backend::Host host;
    critic::Recoil::Inputs<double> inputs{expert, policy, mixture, next, done};
    double loss = part.loss<double>(host, inputs, {grad_expert, grad_policy, grad});
    double loss_stabilised = stabilised.loss<double>(host, inputs, {grad_expert_stabilised, {}, grad_stabilised});
    return {{"row_weight",
             critic::mixture_weights(std::ssize(expert), std::ssize(mixture) - std::ssize(expert), in.real("beta"))},
            {"loss", loss},
            {"grad_q_expert", grad_expert},
            {"grad_q_mixture", grad},
            {"grad_q_offline_policy", grad_policy},
            {"loss_stabilised", loss_stabilised},
            {"grad_q_expert_stabilised", grad_expert_stabilised},
            {"grad_q_mixture_stabilised", grad_stabilised}};
}

Json extraction(const Inputs& in) {
    using Set = columns<col::mask, col::q, col::value, col::logp, col::advantage, col::grad<col::logp>>;
    auto batch = batch_with_mask<Set>(in, "logp");
    engine::estimate(advantage::ExponentialWeight<>{in.real("inverse_temperature"), in.real("weight_max"), {}}, batch);
    auto result = run_term(batch, surrogate::PolicyGradient{}, aggregate::TokenMean{});
    return {{"weight", batch[col::advantage{}]}, {"loss", result.loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("34-dual-rl", "loss", "loss.1")] = value_losses;
    registry[key("34-dual-rl", "regularizer", "regularizer")] = conjugates;
    registry[key("34-dual-rl", "loss", "loss.2")] = dual_value;
    registry[key("34-dual-rl", "loss", "loss.3")] = recoil;
    registry[key("34-dual-rl", "loss", "loss.4")] = extraction;
}

}  // namespace roars::golden::of_dual_rl
