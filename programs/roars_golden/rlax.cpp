#include <span>

#include "roars/advantage/maximum_a_posteriori.hpp"
#include "roars/advantage/none.hpp"
#include "roars/advantage/v_trace.hpp"
#include "roars/critic/expected_sarsa.hpp"
#include "roars/critic/multistep.hpp"
#include "roars/critic/pop_art.hpp"
#include "roars/critic/value_transform.hpp"
#include "roars/run.hpp"

#include "engine.hpp"
#include "golden.hpp"

/// What rlax says of the parts that have a counterpart there: tests/golden/make_rlax.py.
namespace roars::golden::of_rlax {
namespace {

using Reals = std::vector<double>;

Reals flat(const std::vector<Reals>& rows) {
    Reals all;
    for (const auto& row : rows) all.insert(all.end(), row.begin(), row.end());
    return all;
}
std::vector<Reals> rows_of(const Reals& all, std::size_t width) {
    std::vector<Reals> rows;
    for (std::size_t i = 0; i < all.size(); i += width)
        rows.emplace_back(all.begin() + std::ptrdiff_t(i), all.begin() + std::ptrdiff_t(i + width));
    return rows;
}

Json leaky_v_trace(const Inputs& in) {
    using Part = advantage::VTrace<critic::None, advantage::truncation::Leaky>;
    Part part{.gamma = in.real("gamma"), .lambda = in.real("lambda"), .truncation = {.hard = in.real("hard")}};
    auto reward = in.reals("reward"), value = in.reals("value"), log_rho = in.reals("log_rho"),
         terminated = in.reals("terminated"), next_value = in.reals("next_value");
    const std::vector<std::int64_t> offsets{0, std::ssize(reward)};
    Batch<double, unite_t<needs_of<Part>, gives_of<Part>>> batch(offsets);
    auto fill = [&](auto column, const Reals& from) { std::copy(from.begin(), from.end(), batch[column].begin()); };
    fill(col::token_reward{}, reward);
    fill(col::value{}, value);
    fill(col::next_value{}, next_value);
    fill(col::terminated{}, terminated);
    fill(col::done{}, terminated);
    fill(col::logp{}, log_rho);
    engine::estimate(part, batch);
    Reals error(batch[col::returns{}].begin(), batch[col::returns{}].end());
    for (std::size_t t = 0; t < error.size(); ++t) error[t] -= value[t];
    return {{"error", error}};
}

/// One stream whose column `of_next` belongs to the state behind a step; ours belong to the step's own state.
Reals shifted(const Reals& of_next) {
    Reals own(1, 0.0);
    own.insert(own.end(), of_next.begin(), of_next.end() - 1);
    return own;
}

template <class Target>
Json off_policy(const Inputs& in, Target&& target) {
    auto q = in.rows("q"), pi = in.rows("pi");
    auto action = in.wholes("action");
    Reals reward = in.reals("reward"), expected, taken, logp, nothing(reward.size(), 0.0), result(reward.size());
    for (std::size_t t = 0; t < q.size(); ++t) {
        auto a = static_cast<std::size_t>(action[t]);
        expected.push_back(critic::expected_value(std::span<const double>(pi[t]), std::span<const double>(q[t])));
        taken.push_back(q[t][a]);
        logp.push_back(std::log(pi[t][a]));
    }
    const std::vector<std::int64_t> offsets{0, std::ssize(reward)};
    critic::Steps<double> steps{offsets, reward, expected, nothing, nothing};
    Reals own_q = shifted(taken), own_logp = shifted(logp);
    backend::Host host;
    target(host, steps, std::span<const double>(own_q), std::span<const double>(own_logp), std::span<double>(result));
    return {{"target", result}};
}
Json tree_backup(const Inputs& in) {
    critic::TreeBackup part{in.real("gamma"), in.real("lambda")};
    return off_policy(
        in, [&](auto& host, const auto& steps, auto q, auto logp, auto to) { part.target(host, steps, q, logp, to); });
}
Json corrected_q_lambda(const Inputs& in) {
    critic::CorrectedQLambda part{in.real("gamma"), in.real("lambda")};
    return off_policy(in,
                      [&](auto& host, const auto& steps, auto q, auto, auto to) { part.target(host, steps, q, to); });
}

Json peng(const Inputs& in) {
    Reals reward = in.reals("reward"), next = in.reals("next_value"), nothing(reward.size(), 0.0);
    const std::vector<std::int64_t> offsets{0, std::ssize(reward)};
    critic::Steps<double> steps{offsets, reward, next, nothing, nothing};
    Reals result(reward.size());
    backend::Host host;
    critic::LambdaReturn{in.real("gamma"), in.real("lambda")}.target(host, steps, std::span<double>(result));
    return {{"target", result}};
}

template <class Target>
Json one_step(const Inputs& in, Target&& target) {
    Reals reward{in.real("reward")}, terminated{0.0}, q = in.reals("next_q"), result(1);
    backend::Host host;
    target(host, std::span<const double>(reward), std::span<const double>(terminated),
           critic::Rows<const double>{q, std::ssize(q)}, std::span<double>(result));
    return {{"target", result[0]}};
}
Json expected_sarsa(const Inputs& in) {
    Reals pi = in.reals("next_probability");
    return one_step(in, [&](auto& host, auto reward, auto terminated, auto q, auto to) {
        critic::ExpectedSarsa{in.real("gamma")}.target<double>(host, reward, terminated, {pi, std::ssize(pi)}, q, to);
    });
}
Json persistent_q(const Inputs& in) {
    std::vector<std::int64_t> action{in.whole("action")};
    return one_step(in, [&](auto& host, auto reward, auto terminated, auto q, auto to) {
        critic::PersistentQ{in.real("gamma"), in.real("persistence")}.target<double>(host, reward, terminated,
                                                                                     std::span(action), q, to);
    });
}

Json pop_art(const Inputs& in) {
    critic::PopArt part{in.real("step"), in.real("least"), in.real("largest")};
    critic::PopArt::State state;
    Reals weight = flat(in.rows("weight")), bias = in.reals("bias");
    auto targets = in.rows("target"), outputs = in.rows("output");
    for (std::size_t k = 0; k < targets.size(); ++k) {
        std::vector<std::int64_t> output(outputs[k].begin(), outputs[k].end());
        part.update(state, std::span<const double>(targets[k]), std::span(output),
                    critic::Rows<double>{weight, std::ssize(bias)}, std::span<double>(bias));
    }
    return {{"weight", rows_of(weight, bias.size())},
            {"bias", bias},
            {"shift", state.shift},
            {"scale", state.scale},
            {"second_moment", state.second_moment}};
}

Json signed_hyperbolic(const Inputs& in) {
    critic::transform::SignedHyperbolic part{in.real("eps")};
    Reals squeezed, restored;
    for (double x : in.reals("x")) {
        squeezed.push_back(part.apply(x));
        restored.push_back(part.invert(squeezed.back()));
    }
    return {{"squeezed", squeezed}, {"restored", restored}};
}

/// The temperature of a case, and what its loss is for a set or the mean over sets.
struct Dual {
    advantage::Temperature temperature;
    double eta;
    Json with(Json said, const advantage::Temperature::Dual& mean) const {
        said["loss"] = temperature.loss(eta, mean);
        said["slope"] = temperature.slope(eta, mean) / eta;
        return said;
    }
};
Dual dual_of(const Inputs& in) {
    return {{.initial = in.real("temperature"), .epsilon = in.real("epsilon")}, in.real("temperature")};
}

Json maximum_a_posteriori(const Inputs& in) {
    auto q = in.rows("q");
    Dual dual = dual_of(in);
    advantage::Temperature::Dual mean;
    for (auto& set : q) {
        auto one = advantage::Temperature::weigh(set, dual.eta);
        mean = {mean.log_mean + one.log_mean / double(q.size()), mean.mean + one.mean / double(q.size())};
    }
    return dual.with({{"weight", q}}, mean);
}

/// Advantages that a case brings.
struct GivenAdvantage {
    const Reals* advantage = nullptr;
    using needs = columns<>;
    using gives = columns<col::advantage>;
    template <class RunType, class BatchType>
    void estimate(RunType&, BatchType& batch) const {
        std::copy(advantage->begin(), advantage->end(), batch[col::advantage{}].begin());
    }
};

/// The weights from the part, the loss from the tokens that it keeps.
Json on_policy(const Inputs& in) {
    Reals advantage = in.reals("advantage");
    Dual dual = dual_of(in);
    advantage::OnPolicyMaximumAPosteriori<GivenAdvantage> part{{&advantage}, in.real("share"), dual.temperature};
    const std::vector<std::int64_t> offsets{0, std::ssize(advantage)};
    Batch<double, columns<col::advantage>> batch(offsets);
    engine::estimate(part, batch);
    Reals weight(batch[col::advantage{}].begin(), batch[col::advantage{}].end()), kept;
    for (std::size_t t = 0; t < weight.size(); ++t) {
        if (weight[t] > 0.0) kept.push_back(advantage[t]);
        weight[t] /= double(weight.size());
    }
    return dual.with({{"weight", weight}}, advantage::Temperature::weigh(kept, dual.eta));
}

}  // namespace

void add(Registry& registry) {
    auto add = [&](const char* name, Evaluate evaluate) { registry[key("rlax", "critic", name)] = evaluate; };
    add("leaky_vtrace", leaky_v_trace);
    add("tree_backup", tree_backup);
    add("q_lambda_off_policy", corrected_q_lambda);
    add("q_lambda", peng);
    add("expected_sarsa", expected_sarsa);
    add("persistent_q_learning", persistent_q);
    add("popart", pop_art);
    add("signed_hyperbolic", signed_hyperbolic);
    add("mpo", maximum_a_posteriori);
    add("vmpo", on_policy);
}

}  // namespace roars::golden::of_rlax
