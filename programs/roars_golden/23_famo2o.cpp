#include "terms.hpp"

#include "roars/advantage/balanced_weight.hpp"
#include "roars/critic/balance_policy.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogate.hpp"
#include "roars/optimizer/surrogates/balanced_climb.hpp"
#include "roars/regularizer/entropy_temperature.hpp"

namespace roars::golden::of_famo2o {
namespace {

using Values = std::vector<double>;

sampler::BalanceRange range_of(const Inputs& in) { return {in.real("coefficient_low"), in.real("coefficient_high")}; }

Json encodings(const Inputs& in, const Values& balance) {
    Json rows = Json::array();
    Values encoding(static_cast<std::size_t>(in.whole("encoding_dim")));
    for (double b : balance) {
        sampler::encode_balance(b, in.real("encoding_base"), std::span(encoding));
        rows.push_back(encoding);
    }
    return rows;
}
Json coefficients(const Inputs& in) {
    auto range = range_of(in);
    Values offline, log_std, mean = in.reals("mean"), noise = in.reals("noise");
    for (double u : in.reals("uniform")) offline.push_back(range.from_uniform(u));
    for (double std : in.reals("std")) log_std.push_back(std::log(std));
    Values online(mean.size()), logp(mean.size());
    backend::Host host;
    critic::BalancePolicy{range}.draw<double>(host, mean, log_std, noise, online, logp);
    return {{"coefficient_offline", offline},
            {"encoding_offline", encodings(in, offline)},
            {"coefficient_online", online},
            {"encoding_online", encodings(in, online)},
            {"log_prob", logp}};
}

/// The inputs with q, the smaller of two critics, and under the names of the columns.
Json with_columns(const Inputs& in) {
    Json json = in.json();
    Values q = in.reals("q_1"), other = in.reals("q_2");
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = std::min(q[i], other[i]);
    json["q"] = q;
    json["balance"] = json.at("coefficient");
    return json;
}
Json weighted_regression(const Inputs& in) {
    using Set = columns<col::mask, col::q, col::value, col::balance, col::logp, col::advantage, col::grad<col::logp>>;
    Json json = with_columns(in);
    auto batch = batch_with_mask<Set>(Inputs(json), "logp");
    engine::estimate(advantage::BalancedWeight<>{in.real("weight_max"), {}}, batch);
    auto result = run_term(batch, surrogate::PolicyGradient{}, aggregate::TokenMean{});
    return {{"weight", batch[col::advantage{}]}, {"loss", result.loss()}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}
/// The policy's action is one number, and q moves with it one to one: d loss / d q is then that by the action.
Json actor_critic(const Inputs& in) {
    using Set = columns<col::mask, col::q, col::balance, col::policy_action, col::q_gradient, col::policy_logp,
                        col::grad<col::policy_action>, col::grad<col::policy_logp>>;
    Json json = with_columns(in);
    json["policy_logp"] = json.at("logp");
    auto batch = batch_with_mask<Set>(Inputs(json), "logp");
    std::fill(batch[col::q_gradient{}].begin(), batch[col::q_gradient{}].end(), 1.0);
    auto result = engine::terms(batch, aggregate::TokenMean{}, surrogate::BalancedClimb{},
                                regularizer::EntropyTerm{in.real("entropy_coef")});
    return {{"loss", result.loss()},
            {"grad_q", batch[col::grad<col::policy_action>{}]},
            {"grad_logp", batch[col::grad<col::policy_logp>{}]}};
}

Json balance_model(const Inputs& in) {
    critic::BalancePolicy part{range_of(in), in.real("target_entropy")};
    Values mean = in.reals("mean"), log_std = in.reals("log_std"), noise = in.reals("noise"), q = in.reals("q"),
           slope = in.reals("q_gradient");
    Values balance(mean.size()), logp(mean.size()), grad_mean(mean.size()), grad_log_std(mean.size());
    double temperature = std::exp(in.real("log_temperature"));
    backend::Host host;
    part.draw<double>(host, mean, log_std, noise, balance, logp);
    double loss = part.loss<double>(host, temperature, mean, log_std, noise, q, slope, grad_mean, grad_log_std);
    double entropy = part.entropy<double>(host, logp), temperature_loss = part.temperature_loss(temperature, entropy);
    return {{"coefficient", balance},
            {"log_prob", logp},
            {"loss", loss},
            {"grad_mean", grad_mean},
            {"grad_log_std", grad_log_std},
            {"entropy", entropy},
            {"temperature_loss", temperature_loss},
            {"grad_log_temperature", temperature_loss}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("23-famo2o", "sampler", "sampler")] = coefficients;
    registry[key("23-famo2o", "loss", "loss.1")] = weighted_regression;
    registry[key("23-famo2o", "loss", "loss.2")] = actor_critic;
    registry[key("23-famo2o", "loss", "loss.3")] = balance_model;
}

}  // namespace roars::golden::of_famo2o
