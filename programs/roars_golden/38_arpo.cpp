#include "engine.hpp"
#include "golden.hpp"

#include <algorithm>

#include "roars/methods/arpo.hpp"

namespace roars::golden::of_arpo {
namespace {

/// E of a window whose logits are given.
double entropy_of(const Inputs& in, const std::string& name) {
    auto rows = in.rows(name);
    if (rows.empty()) return 0.0;
    std::vector<double> logits, zero(rows.size());
    for (const auto& row : rows) logits.insert(logits.end(), row.begin(), row.end());
    auto told = engine::log_softmax(logits, std::ssize(rows[0]), std::vector<std::int64_t>(rows.size()),
                                    in.real("temperature", 1.0), zero, zero);
    return sampler::window_entropy(std::span<const double>(told.entropy), std::ssize(rows),
                                   in.real("vocabulary", double(rows[0].size())));
}
sampler::EntropyRule rule_of(const Inputs& in) {
    auto rule = methods::arpo.sampler.rule;
    rule.alpha = in.real("alpha", rule.alpha);
    rule.beta = in.real("beta", rule.beta);
    if (in.has("beam")) rule.beam = in.whole("beam");
    return rule;
}

Json probability(const Inputs& in) {
    double init = entropy_of(in, "logits_init"), now = entropy_of(in, "logits_now");
    return {{"entropy_init", init},
            {"entropy_now", now},
            {"delta", now - init},
            {"branch_probability", rule_of(in).probability(now - init)}};
}

Json round(const Inputs& in) {
    auto active = in.wholes("active");
    auto init = in.reals("entropy_init"), now = in.reals("entropy_now"), uniform = in.reals("uniform");
    std::vector<sampler::BranchSource> sources;
    for (std::size_t i = 0; i < active.size(); ++i) sources.push_back({active[i] != 0, init[i], now[i]});
    std::size_t used = 0;
    auto made = rule_of(in).round(sources, in.whole("rollouts"), in.whole("budget"), [&] {
        expect(used < uniform.size(), "uniform: there are too few, expected one for each try");
        return uniform[used++];
    });
    std::int64_t rollouts = in.whole("rollouts") + made.fresh;
    for (std::int64_t branches : made.branches) rollouts += branches;
    return {
        {"branches", made.branches}, {"fresh", made.fresh}, {"uniforms_used", made.uniforms}, {"rollouts", rollouts}};
}

/// The columns say a parent by its place in the group.
Json with_places(const Inputs& in) {
    Json json = in.json();
    auto groups = in.wholes("group_offsets"), parents = in.wholes("branch_parent");
    for (std::size_t g = 0; g + 1 < groups.size(); ++g)
        for (auto i = groups[g]; i < groups[g + 1]; ++i)
            if (auto& parent = parents[std::size_t(i)]; parent >= 0) parent -= groups[g];
    json["branch_parent"] = parents;
    return json;
}
template <class Part>
std::vector<double> estimated(const Inputs& in, const Part& part) {
    auto batch = batch_of<unite_t<needs_of<Part>, columns<col::advantage>>>(in);
    engine::estimate(part, batch);
    return {batch[col::advantage{}].begin(), batch[col::advantage{}].end()};
}
Json advantage(const Inputs& in) {
    auto soft = methods::arpo.advantage;
    soft.scale = {.eps = in.real("eps", 1e-6), .ddof = int(in.real("ddof", 1))};
    Json placed = with_places(in);
    return {{"advantage_soft", estimated(in, soft)},
            {"advantage_hard", estimated(Inputs(placed), advantage::SharedTokens<advantage::GroupZScore>{soft})}};
}

void loss_of(const Inputs& in, const std::string& kind, Json& said) {
    surrogate::Clip clip{.low = in.real("clip_low", 0.2), .high = in.real("clip_high", 0.2)};
    auto batch = batch_of<unite_t<needs_of<surrogate::Clip>, columns<col::mask, col::grad<col::logp>>>>(in);
    auto given = in.reals("advantage_" + kind);
    std::copy(given.begin(), given.end(), batch[col::advantage{}].begin());
    if (!in.has("mask")) std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    said["loss_" + kind] = engine::terms(batch, methods::arpo.optimizer.aggregate, clip).loss();
    auto gradient = batch[col::grad<col::logp>{}];
    said["grad_logp_" + kind] = gradient;
    auto node = in.wholes("token_node");
    std::vector<double> summed(node.empty() ? 0 : std::size_t(*std::max_element(node.begin(), node.end()) + 1));
    for (std::size_t t = 0; t < node.size(); ++t) summed[std::size_t(node[t])] += gradient[t];
    said["node_gradient_" + kind] = summed;
}
Json loss(const Inputs& in) {
    Json said;
    loss_of(in, "soft", said);
    loss_of(in, "hard", said);
    return said;
}

Json reward(const Inputs& in) {
    auto part = methods::arpo.reward;
    get<1>(part.behind.behind).bonus = in.real("bonus", 0.1);
    auto accuracy = in.reals("accuracy"), format = in.reals("format_ok");
    auto searches = in.reals("search_calls"), programs = in.reals("python_calls");
    Batch<double, unite_t<needs_of<methods::ToolReward>, columns<col::reward>>> batch{
        std::vector<std::int64_t>(accuracy.size() + 1)};
    for (std::size_t i = 0; i < accuracy.size(); ++i) {
        batch[col::outcome{}][i] = accuracy[i];
        batch[col::format{}][i] = format[i];
        batch[col::tool_kinds{}][i] = (searches[i] > 0) + (programs[i] > 0);
    }
    engine::score(part, batch);
    return {{"reward", batch[col::reward{}]}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("38-arpo", "sampler", "sampler.1")] = probability;
    registry[key("38-arpo", "sampler", "sampler.2")] = round;
    registry[key("38-arpo", "advantage", "advantage")] = advantage;
    registry[key("38-arpo", "loss", "loss")] = loss;
    registry[key("38-arpo", "reward", "reward")] = reward;
}

}  // namespace roars::golden::of_arpo
