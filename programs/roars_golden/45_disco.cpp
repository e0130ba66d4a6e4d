#include "engine.hpp"
#include "golden.hpp"

#include "roars/algorithm.hpp"
#include "roars/methods/disco.hpp"
#include "roars/metrics/difficulty.hpp"

namespace roars::golden::of_disco {
namespace {

template <class Score, class Pool>
Json objective_of(const Inputs& in, const Pool& pool) {
    using Method = methods::DiscriminativeConstrained<Score, Pool>;
    Method method;
    method.regularizer = {in.real("beta"), in.real("delta")};
    method.optimizer.surrogate.pool = pool;
    auto batch = batch_of<unite_t<typename Method::Columns, columns<col::logp_old>>>(in);
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    backend::Host host;
    Run run{host};
    auto totals = method.totals(run, {}, batch);
    auto result = engine::objective(method, batch);
    return {{"objective", -result.term_loss[0]},
            {"kl", std::get<1>(totals.sums).kl()},
            {"penalty", result.term_loss[1]},
            {"loss", result.loss()},
            {"grad_logp", batch[col::grad<col::logp>{}]}};
}
template <class Pool>
Json objective(const Inputs& in, const Pool& pool) {
    if (in.text("score_function") == "log_likelihood") return objective_of<score::LogLikelihood>(in, pool);
    expect(in.text("score_function") == "likelihood_ratio",
           "score_function: expected log_likelihood or likelihood_ratio");
    return objective_of<score::LikelihoodRatio>(in, pool);
}
Json soft_maximum(const Inputs& in) { return objective(in, pool::SoftMaximum{in.real("tau")}); }
Json mean(const Inputs& in) { return objective(in, pool::Mean{}); }

Json difficulty(const Inputs& in) {
    auto groups = in.wholes("group_offsets"), tokens = in.wholes("token_offsets");
    auto reward = in.reals("reward"), logp = in.reals("logp"), logp_old = in.reals("logp_old");
    auto bias = metrics::difficulty_bias(groups, tokens, std::span(reward), std::span(logp), std::span(logp_old),
                                         in.real("clip_low"), in.real("clip_high"));
    return {{"difficulty_weight", bias.weight},
            {"difficulty_weight_unscaled", bias.weight_unscaled},
            {"discriminative_gap", bias.gap},
            {"grpo_objective", bias.objective}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("45-disco", "loss", "loss.1")] = soft_maximum;
    registry[key("45-disco", "loss", "loss.2")] = mean;
    registry[key("45-disco", "metric", "metric")] = difficulty;
}

}  // namespace roars::golden::of_disco
