#include "engine.hpp"
#include "golden.hpp"

#include "roars/algorithm.hpp"
#include "roars/methods/copo.hpp"

namespace roars::golden::of_copo {
namespace {

/// Per sequence: each has one token.
Json with_one_token_each(const Inputs& in) {
    Json json = in.json();
    json["token_offsets"] = Json::array();
    for (std::size_t i = 0; i <= in.reals("reward").size(); ++i) json["token_offsets"].push_back(i);
    return json;
}

template <class PromptReward>
Json prompts_of(const Inputs& in) {
    auto batch = batch_of<columns<col::groups, col::reward, col::answer>>(Inputs(with_one_token_each(in)));
    backend::Host host;
    Run run{host};
    auto x = view_of<columns<col::groups, col::reward, col::answer>>(run, batch);
    std::vector<Moments> rewards(std::size_t(batch.groups()));
    segmented_moments(host, batch[col::groups{}], std::span(batch[col::reward{}]), std::span(rewards));
    advantage::LocalAndGlobal<advantage::GroupZScore, PromptReward> part;
    Json entropy = Json::array(), reward = Json::array();
    for (std::size_t g = 0; g < rewards.size(); ++g) {
        auto prompt = part.prompt(x, rewards[g], std::int64_t(g));
        entropy.push_back(prompt.entropy);
        reward.push_back(prompt.reward);
    }
    return {{"consistency_entropy", entropy}, {"global_reward", reward}};
}
Json prompts(const Inputs& in) {
    return in.real("use_consistency_coef", 0.0) != 0.0 ? prompts_of<prompt_reward::Consistent>(in)
                                                       : prompts_of<prompt_reward::Mean>(in);
}

template <class PromptReward>
Json signals_of(const Inputs& in) {
    using Part = advantage::LocalAndGlobal<advantage::GroupZScore, PromptReward>;
    double eps = in.real("eps", 1e-6);
    int ddof = int(in.real("ddof", 1));
    Part part{.local = {.scale = {eps, ddof}},
              .steepness = in.real("steepness"),
              .threshold = in.real("threshold"),
              .eps = eps,
              .ddof = ddof};
    auto batch = batch_of<unite_t<needs_of<Part>, gives_of<Part>>>(Inputs(with_one_token_each(in)));
    engine::estimate(part, batch);
    return {{"local_advantage", batch[col::advantage{}]},
            {"global_advantage", batch[col::advantage_global{}]},
            {"local_weight", batch[col::blend{}]}};
}
Json signals(const Inputs& in) {
    return in.real("use_consistency_coef", 0.0) != 0.0 ? signals_of<prompt_reward::Consistent>(in)
                                                       : signals_of<prompt_reward::Mean>(in);
}

template <class Blend>
Json loss_of(const Inputs& in, const Blend& blend) {
    using Term = surrogate::Blended<surrogate::DualClip>;
    Term term{{in.real("clip_low"), in.real("clip_high"), in.real("dual_clip")}};
    auto batch = batch_of<unite_t<columns<col::mask, col::grad<col::logp>>, needs_of<Term>>>(in);
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    auto local = in.reals("local_advantage"), global = in.reals("global_advantage");
    auto weight = in.reals("local_weight"), reward = in.reals("reward");
    backend::Host host;
    segmented_broadcast(host, batch.token_offsets(), std::span<const double>(local), batch[col::advantage{}]);
    segmented_broadcast(host, batch.token_offsets(), std::span<const double>(global), batch[col::advantage_global{}]);
    for (std::size_t i = 0; i < weight.size(); ++i) batch[col::blend{}][i] = blend(weight[i], reward[i], local[i]);
    double loss = engine::terms(batch, aggregate::SequenceMeanOfAll{}, term).loss();
    return {{"loss", loss}, {"grad_logp", batch[col::grad<col::logp>{}]}};
}
Json loss(const Inputs& in) {
    std::string name = in.text("blend");
    if (name == "soft") return loss_of(in, blend::Soft{});
    if (name == "soft_with_zero") return loss_of(in, blend::WhereRewarded{});
    if (name == "soft_with_forced") return loss_of(in, blend::WhereContrasted{});
    if (name == "only_global") return loss_of(in, blend::OnlyGlobal{});
    expect(name == "no_global", [&] { return "blend: '" + name + "', expected one of the five"; });
    return loss_of(in, blend::OnlyLocal{});
}

}  // namespace

void add(Registry& registry) {
    registry[key("63-copo", "reward", "reward")] = prompts;
    registry[key("63-copo", "advantage", "advantage")] = signals;
    registry[key("63-copo", "loss", "loss")] = loss;
}

}  // namespace roars::golden::of_copo
