#include "engine.hpp"
#include "golden.hpp"

#include "roars/metrics/estimates.hpp"
#include "roars/optimizer/step/muon.hpp"
#include "roars/optimizer/step/scheduled.hpp"
#include "roars/primitives/log_softmax.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/reward/repetition.hpp"
#include "roars/reward/truncated.hpp"
#include "roars/sampler/replay.hpp"
#include "roars/sampler/then.hpp"

namespace roars::golden::of_peers_rest {
namespace {

// ---- reward

Json overlong(const Inputs& in) {
    reward::SoftOverlong rule{in.real("max_length"), in.real("buffer"), in.real("factor")};
    // One coefficient has two meanings by its sign: a factor from 0 on, a replacement below.
    auto stop = [](double coefficient, double reward, bool truncated) {
        if (coefficient >= 0)
            return reward::ScaleTruncated<reward::Verified>{{}, coefficient}.amended(reward, truncated);
        return reward::ReplaceTruncated<reward::Verified>{{}, coefficient}.amended(reward, truncated);
    };
    std::vector<double> penalty, shaped, scaled, replaced;
    auto reward = in.reals("reward"), length = in.reals("length"), truncated = in.reals("truncated");
    for (std::size_t i = 0; i < reward.size(); ++i) {
        penalty.push_back(rule.penalty(length[i]));
        shaped.push_back(reward[i] + penalty[i]);
        scaled.push_back(stop(in.real("stop_coef"), reward[i], truncated[i] != 0));
        replaced.push_back(stop(in.real("stop_coef_negative"), reward[i], truncated[i] != 0));
    }
    return {{"penalty", penalty}, {"shaped", shaped}, {"stop_scaled", scaled}, {"stop_replaced", replaced}};
}

Json repetition(const Inputs& in) {
    auto token = in.wholes("token");
    return {{"penalty", reward::Repetition{in.whole("ngram"), in.real("max_penalty")}.penalty(std::span(token))}};
}

// ---- sampler

Json group_filters(const Inputs& in) {
    auto batch = batch_of<columns<col::groups, col::outcome, col::truncated, col::mask>>(in);
    auto reward = in.reals("reward");
    std::copy(reward.begin(), reward.end(), batch[col::outcome{}].begin());
    auto mask = batch[col::mask{}];
    std::fill(mask.begin(), mask.end(), 1.0);
    backend::Host host;
    Run run{host};
    auto kept = [&](auto keep) {
        auto flags = sampler::groups_to_keep(host, batch[col::groups{}], batch[col::outcome{}], keep);
        return std::vector<int>(flags.begin(), flags.end());
    };
    NoState none;
    sampler::MaskTruncated{}.amend(run, none, batch);
    return {{"informative", kept(sampler::keep::Informative{})},
            {"difficulty_band", kept(sampler::keep::Band{in.real("lowest"), in.real("highest")})},
            {"mask", mask}};
}

Json score_resampling(const Inputs& in) {
    auto reward = in.reals("reward"), uniform = in.reals("uniform");
    Json weights, indices;
    auto one = [&](const char* name, auto weight) {
        auto w = sampler::score_weights(std::span<const double>(reward), weight);
        auto sums = sampler::cumulated(w);
        std::vector<std::int64_t> index;
        for (double u : uniform) index.push_back(sampler::draw_index(sums, u));
        weights[name] = w;
        indices[name] = index;
    };
    one("pow", sampler::weight::Power{in.real("power")});
    one("max_min", sampler::weight::Extremes{});
    one("max_random", sampler::weight::Best{});
    return {{"weight", weights}, {"index", indices}};
}

Json prioritised_replay(const Inputs& in) {
    sampler::draw::Prioritised rule{in.real("alpha"), in.real("beta"), in.real("eps")};
    auto priority = in.reals("priority"), error = in.reals("td_error");
    auto drawn = rule(priority, in.reals("uniform"));
    rule.update(priority, drawn.index, error);
    return {{"index", drawn.index}, {"weight", drawn.weight}, {"new_priority", priority}};
}

// ---- metric

Json selective_log_softmax_case(const Inputs& in) {
    auto rows = in.rows("logits");
    auto token = in.wholes("token");
    auto grad_logp = in.reals("grad_logp"), grad_entropy = in.reals("grad_entropy");
    std::vector<double> logits;
    for (const auto& row : rows) logits.insert(logits.end(), row.begin(), row.end());
    std::int64_t vocabulary = rows.empty() ? 1 : std::ssize(rows[0]);
    auto [logp, entropy, squares] =
        engine::log_softmax(logits, vocabulary, token, in.real("temperature"), grad_logp, grad_entropy);
    Json gradient = Json::array();
    for (std::size_t i = 0; i < rows.size(); ++i)
        gradient.push_back(std::vector<double>(logits.begin() + std::ptrdiff_t(i) * vocabulary,
                                               logits.begin() + std::ptrdiff_t(i + 1) * vocabulary));
    return {{"logp", logp}, {"entropy", entropy}, {"sum_pi_squared", squares}, {"grad_logits", gradient}};
}

Json diagnostics(const Inputs& in) {
    backend::Host host;
    auto returns = in.reals("returns"), value = in.reals("value"), weight = in.reals("weight"), mask = in.reals("mask");
    std::vector<double> pass;
    for (std::int64_t k : in.wholes("k"))
        pass.push_back(metrics::pass_at_k(in.whole("samples"), in.whole("correct"), k));
    return {{"pass_at_k", pass},
            {"explained_variance", metrics::explained_variance(host, std::span(returns), std::span(value))},
            {"ess", metrics::effective_sample_size(std::span(weight))},
            {"masked_mean", metrics::masked_mean(host, std::span(returns), std::span(mask)).mean}};
}

// ---- step

Json adamw(const Inputs& in) {
    using Rule = step::Scheduled<step::Clipped<step::AdamW>, step::WarmUp<step::decay::Cosine>>;
    Rule rule{{{.learning_rate = in.real("learning_rate"),
                .beta1 = in.real("beta1"),
                .beta2 = in.real("beta2"),
                .eps = in.real("eps"),
                .weight_decay = in.real("weight_decay")},
               in.real("max_norm")},
              {in.whole("warmup_steps"), in.whole("total_steps"), {}}};
    auto parameter = in.reals("parameter");
    engine::Steps<Rule> steps(rule, std::ssize(parameter));
    std::vector<std::vector<double>> parameters;
    std::vector<double> rates;
    for (auto gradient : in.rows("gradient")) {
        rates.push_back(in.real("learning_rate") * rule.next_factor(steps.state()));
        steps.step(parameter, gradient);
        parameters.push_back(parameter);
    }
    return {{"parameter", parameters}, {"learning_rate", rates}};
}

Json muon(const Inputs& in) {
    auto flat = [&](const char* name) {
        std::vector<double> values;
        for (const auto& row : in.rows(name)) values.insert(values.end(), row.begin(), row.end());
        return values;
    };
    auto parameter = flat("parameter"), gradient = flat("gradient"), buffer = flat("buffer");
    auto rows = std::ssize(in.rows("gradient"));
    std::int64_t columns = rows > 0 ? std::ssize(gradient) / rows : 0;
    std::vector<step::Quintic> iterations;
    for (const auto& k : in.rows("coefficients")) iterations.push_back({k[0], k[1], k[2]});
    step::Muon<> rule{.learning_rate = in.real("learning_rate"),
                      .momentum = in.real("momentum"),
                      .weight_decay = in.real("weight_decay"),
                      .eps = in.real("eps")};
    auto x = rule.step_matrix(rows, columns, std::span<double>(parameter), std::span<const double>(gradient),
                              std::span<double>(buffer), std::span<const step::Quintic>(iterations));
    auto matrix = [&](const double* values) {
        Json json = Json::array();
        for (std::int64_t r = 0; r < rows; ++r)
            json.push_back(std::vector<double>(values + r * columns, values + (r + 1) * columns));
        return json;
    };
    return {
        {"buffer", matrix(buffer.data())}, {"direction", matrix(x.data())}, {"parameter", matrix(parameter.data())}};
}

}  // namespace

void add(Registry& registry) {
    auto add = [&](const char* stage, const char* rule, Evaluate evaluate) {
        registry[key("00-peers", stage, rule)] = evaluate;
    };
    add("reward", "overlong", overlong);
    add("reward", "repetition", repetition);
    add("sampler", "group_filters", group_filters);
    add("sampler", "score_resampling", score_resampling);
    add("sampler", "prioritised_replay", prioritised_replay);
    add("metric", "selective_log_softmax", selective_log_softmax_case);
    add("metric", "diagnostics", diagnostics);
    add("step", "adamw", adamw);
    add("step", "muon", muon);
}

}  // namespace roars::golden::of_peers_rest
