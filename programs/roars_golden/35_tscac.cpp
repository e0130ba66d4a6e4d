#include "terms.hpp"

#include "roars/advantage/multi_critic.hpp"
#include "roars/metrics/importance_sampling.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/damped_climb.hpp"
#include "roars/optimizer/surrogates/towards_references.hpp"
#include "roars/regularizer/near_action.hpp"
#include "roars/regularizer/near_references.hpp"

namespace roars::golden::of_tscac {
namespace {

using Values = std::vector<double>;
using Read = critic::Rows<const double>;

Values flat(const Inputs& in, const char* name) {
    Values values;
    for (const auto& row : in.rows(name)) values.insert(values.end(), row.begin(), row.end());
    return values;
}
std::int64_t width_of(const Inputs& in, const char* name) {
    auto rows = in.rows(name);
    return rows.empty() ? 1 : std::ssize(rows[0]);
}
Json matrix(const Values& values, std::int64_t width) {
    Json json = Json::array();
    Read rows{values, width};
    for (std::int64_t i = 0; i < rows.count(); ++i) json.push_back(Values(rows[i].begin(), rows[i].end()));
    return json;
}

/// A wide column from an input.
template <class BatchType, class Column>
void fill_rows(BatchType& batch, Column column, const Inputs& in, const char* name, std::int64_t width) {
    Values values = flat(in, name);
    batch.set_width(column, width);
    expect(values.size() == batch[column].size(), [&] { return std::string(name) + ": expected rows of equal width"; });
    std::copy(values.begin(), values.end(), batch[column].begin());
}

template <std::size_t responses>
Json multi_critic_of(const Inputs& in) {
    using Part = advantage::MultiCritic<responses>;
    constexpr auto width = std::int64_t(responses);
    using Set = unite_t<needs_of<Part>, gives_of<Part>, columns<col::mask, col::grad<col::value>>>;
    Values gamma = in.reals("gamma"), done = in.reals("done");
    Part part;
    std::copy(gamma.begin(), gamma.end(), part.gamma.begin());
    Batch<double, Set> batch(std::vector<std::int64_t>{0, std::ssize(done)});
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    std::copy(done.begin(), done.end(), batch[col::terminated{}].begin());
    fill_rows(batch, col::token_reward{}, in, "reward", width);
    fill_rows(batch, col::value{}, in, "value", width);
    fill_rows(batch, col::next_value{}, in, "next_value", width);
    Values advantage(done.size() * responses);
    for (std::size_t m = 0; m < responses; ++m) {
        part.index = std::int64_t(m);
        engine::estimate(part, batch);
        for (std::size_t i = 0; i < done.size(); ++i) advantage[i * responses + m] = batch[col::advantage{}][i];
    }
    auto result = run_term(batch, part.critic, aggregate::TokenMean{});
    Values target(batch[col::returns{}].begin(), batch[col::returns{}].end());
    return {
        {"td_target", matrix(target, width)}, {"advantage", matrix(advantage, width)}, {"critic_loss", result.loss()}};
}

/// of(count), the count of a list among the inputs as a constant.
template <class Of>
Json by_count(const Inputs& in, const char* name, Of&& of) {
    std::size_t count = in.reals(name).size();
    Json out;
    [&]<std::size_t... k>(std::index_sequence<k...>) {
        ((count == k + 1 ? void(out = of(std::integral_constant<std::size_t, k + 1>{})) : void()), ...);
    }
    (std::make_index_sequence<8>{});
    expect(!out.is_null(), [&] { return std::string(name) + ": expected 1 to 8 numbers"; });
    return out;
}
Json multi_critic(const Inputs& in) {
    return by_count(in, "gamma", [&](auto count) { return multi_critic_of<count()>(in); });
}

Json closest_policy(const Inputs& in) {
    Values logp = flat(in, "auxiliary_policies"), advantage = in.reals("advantage"), policy(advantage.size());
    for (double& each : logp) each = std::log(each);
    Values multiplier = in.reals("constraint_multiplier");
    Read policies{logp, std::ssize(advantage)};
    regularizer::closest_policy<double>(policies, multiplier, advantage, policy);
    Values divergence;
    for (std::int64_t i = 0; i < policies.count(); ++i)
        divergence.push_back(regularizer::divergence_from<double>(policy, policies[i]));
    return {{"policy", policy}, {"kl_to_auxiliary", divergence}};
}

template <std::size_t references>
Json towards(const Inputs& in) {
    using Term = surrogate::TowardsReferences<references>;
    Term term;
    Values multiplier = in.reals("constraint_multiplier");
    std::copy(multiplier.begin(), multiplier.end(), term.multiplier.begin());
    term.log_weight_max = in.real("log_weight_max");
    Json json = in.json();
    json["logp_behaviour"] = json.at("logp_sampler");
    auto batch = batch_with_mask<ColumnsOf<Term>>(Inputs(json), "logp");
    fill_rows(batch, col::logp_ref{}, in, "logp_auxiliary", std::int64_t(references));
    auto result = run_term(batch, term, aggregate::TokenMean{});
    return {{"weight", batch[col::importance_weight{}]},
            {"loss", result.loss()},
            {"grad_logp", batch[col::grad<col::logp>{}]}};
}
Json weighted_likelihood(const Inputs& in) {
    return by_count(in, "constraint_multiplier", [&](auto count) { return towards<count()>(in); });
}

Json deterministic(const Inputs& in) {
    using Set = columns<col::mask, col::policy_action, col::action, col::reference_action, col::q, col::q_gradient,
                        col::grad<col::policy_action>>;
    surrogate::DampedClimb climb{in.real("sigma"), in.real("awac_coef")};
    regularizer::BehaviourCloning data{in.real("bc_coef")};
    regularizer::NearReferences references{in.real("reference_coef")};
    auto width = width_of(in, "policy_action");
    auto batch = batch_with_mask<columns<col::mask, col::q>>(in, "q").with(Set{});
    fill_rows(batch, col::policy_action{}, in, "policy_action", width);
    fill_rows(batch, col::action{}, in, "action", width);
    fill_rows(batch, col::reference_action{}, in, "auxiliary_action", width);
    fill_rows(batch, col::q_gradient{}, in, "q_gradient", width);
    auto result = engine::terms(batch, aggregate::TokenMean{}, climb, data, references);
    Json similarity = Json::array();
    for (std::int64_t t = 0; t < batch.tokens(); ++t)
        similarity.push_back(
            climb.similarity<double>(batch.row(col::policy_action{}, t), batch.row(col::reference_action{}, t)));
    auto gradient = batch[col::grad<col::policy_action>{}];
    return {{"similarity", similarity},
            {"loss", result.loss()},
            {"grad_policy_action", matrix(Values(gradient.begin(), gradient.end()), width)}};
}

Json capped_importance_sampling(const Inputs& in) {
    Values logp = in.reals("logp"), behaviour = in.reals("logp_behavior"), reward = flat(in, "reward");
    auto found =
        metrics::capped_importance_sampling<double>(logp, behaviour, reward, width_of(in, "reward"), in.real("cap"));
    return {{"ratio", found.ratio}, {"estimate", found.estimate}, {"effective_rows", found.effective_rows}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("35-tscac", "advantage", "advantage")] = multi_critic;
    registry[key("35-tscac", "regularizer", "regularizer")] = closest_policy;
    registry[key("35-tscac", "loss", "loss.1")] = weighted_likelihood;
    registry[key("35-tscac", "loss", "loss.2")] = deterministic;
    registry[key("35-tscac", "metric", "metric")] = capped_importance_sampling;
}

}  // namespace roars::golden::of_tscac
