#include "terms.hpp"

#include "roars/critic/ensemble_loss.hpp"
#include "roars/critic/n_step_rows.hpp"
#include "roars/critic/shown.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/action_size.hpp"
#include "roars/sampler/residual.hpp"
#include "roars/sampler/two_sources.hpp"

namespace roars::golden::of_residual_rl {
namespace {

using Values = std::vector<double>;
using View = std::span<const double>;

/// Rows of equal width, and their values one behind the other.
struct Matrix {
    Values values;
    std::int64_t width = 1;

    Matrix(const Inputs& in, const char* name) {
        for (const auto& row : in.rows(name)) {
            values.insert(values.end(), row.begin(), row.end());
            width = std::ssize(row);
        }
    }
    explicit Matrix(const Matrix& like, double value) : values(like.values.size(), value), width(like.width) {}

    critic::Rows<const double> read() const { return {values, width}; }
    critic::Rows<double> write() { return {values, width}; }
    Json json() const {
        Json rows = Json::array();
        for (std::int64_t i = 0; i < read().count(); ++i) rows.push_back(Values(read()[i].begin(), read()[i].end()));
        return rows;
    }
};

Json acting(const Inputs& in) {
    sampler::ResidualAction part{in.real("action_scale"), in.real("std"), in.real("noise_clip"),
                                 in.real("warmup_scale"), in.whole("progressive_steps")};
    Matrix base(in, "base_action"), mean(in, "tanh_mean"), noise(in, "noise"), uniform(in, "uniform");
    Matrix residual(base, 0), executed(base, 0), warm(base, 0), action(base, 0);
    backend::Host host;
    part.residual<double>(host, mean.values, noise.values, residual.values);
    part.execute<double>(host, in.whole("step"), base.values, residual.values, executed.values);
    part.warm_up<double>(host, base.values, uniform.values, warm.values);
    sampler::ActionRange{in.reals("action_low"), in.reals("action_high")}.to_environment(executed.read(),
                                                                                         action.write());
    return {{"residual", residual.json()},
            {"executed_action", executed.json()},
            {"warmup_executed", warm.json()},
            {"env_action", action.json()}};
}

Json n_step_rows(const Inputs& in) {
    Values reward = in.reals("reward"), terminated = in.reals("terminated"), truncated = in.reals("truncated");
    backend::Host host;
    critic::NStepRows part{in.real("gamma"), in.whole("n_step")};
    Json sum = Json::array(), next = Json::array(), discount = Json::array(), keep = Json::array();
    for (const auto& row : part.of<double>(host, reward, terminated, truncated)) {
        sum.push_back(row.reward);
        next.push_back(row.next);
        discount.push_back(row.discount);
        keep.push_back(row.whole ? 1 : 0);
    }
    return {{"n_step_reward", sum}, {"next_index", next}, {"discount", discount}, {"keep", keep}};
}

Json demonstrations(const Inputs& in) {
    Matrix demonstrated(in, "demo_action"), base(in, "base_action");
    auto rows = sampler::demonstration_rows(demonstrated.read(), base.read());
    sampler::TwoSources mix{in.whole("batch_size"), in.real("offline_fraction")};
    auto drawn = mix.draw(in.whole("online_size"), in.whole("offline_size"), in.reals("uniform"));
    Matrix residual(base, 0);
    residual.values = rows.residual;
    return {{"reward", rows.reward},
            {"terminated", rows.terminated},
            {"residual", residual.json()},
            {"num_online", drawn.online},
            {"index", drawn.index}};
}

/// clip(base + residual, -1, 1), as a critic is shown it that sees nothing else.
Matrix combined(const Matrix& base, const Matrix& residual) {
    Matrix executed(base, 0);
    critic::shown::CorrectedAction{1.0}.rows<double>(base.values, base.width, residual.values, base.width,
                                                     executed.values);
    return executed;
}

Json target(const Inputs& in) {
    Matrix base(in, "next_base_action"), residual(in, "next_residual"), q(in, "target_q");
    Values reward = in.reals("n_step_reward"), discount = in.reals("discount"), target(reward.size());
    auto subset = in.wholes("subset");
    backend::Host host;
    critic::SubsetMinimum{in.real("clip_low"), in.real("clip_high")}.target<double>(host, q.read(), subset, reward,
                                                                                    discount, target);
    return {{"next_action", combined(base, residual).json()}, {"target", target}};
}

Json critic_losses(const Inputs& in) {
    Matrix q(in, "q"), grad(q, 0), coupled(q, 0);
    Values target = in.reals("target");
    backend::Host host;
    double loss = critic::ensemble_loss(host, q.read(), View(target), grad.write());
    double loss_coupled = critic::coupled_ensemble_loss(host, q.read(), View(target), coupled.write());
    return {
        {"loss", loss}, {"grad_q", grad.json()}, {"loss_coupled", loss_coupled}, {"grad_q_coupled", coupled.json()}};
}

Json actor(const Inputs& in) {
    using Set = columns<col::mask, col::policy_action, col::q, col::q_gradient, col::grad<col::policy_action>>;
    Matrix base(in, "base_action"), residual(in, "residual"), q(in, "q"), slope(in, "q_gradient"), mean(base, 0);
    backend::Host host;
    Batch<double, Set> batch(std::vector<std::int64_t>{0, residual.read().count()});
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0);
    batch.set_width(col::policy_action{}, base.width), batch.set_width(col::q_gradient{}, base.width);
    std::copy(residual.values.begin(), residual.values.end(), batch[col::policy_action{}].begin());
    critic::ensemble_mean<double>(host, q.read(), batch[col::q{}]);
    critic::ensemble_mean<double>(host, {slope.values, std::ssize(base.values)}, mean.values);
    critic::shown::CorrectedAction shown{1.0};
    for (std::int64_t i = 0; i < batch.tokens(); ++i)
        for (std::size_t d = 0; d < std::size_t(base.width); ++d)
            batch.row(col::q_gradient{}, i)[d] = shown.by_action(base.read()[i], residual.read()[i], mean.read()[i], d);
    auto result = engine::terms(batch, aggregate::TokenMean{}, surrogate::Climb{},
                                regularizer::ActionSize{in.real("residual_l2_coef")});
    Matrix grad(base, 0);
    std::copy(batch[col::grad<col::policy_action>{}].begin(), batch[col::grad<col::policy_action>{}].end(),
              grad.values.begin());
    return {{"combined", combined(base, residual).json()}, {"loss", result.loss()}, {"grad_residual", grad.json()}};
}

}  // namespace

void add(Registry& registry) {
    registry[key("56-residual-rl", "sampler", "sampler.1")] = acting;
    registry[key("56-residual-rl", "sampler", "sampler.2")] = n_step_rows;
    registry[key("56-residual-rl", "sampler", "sampler.3")] = demonstrations;
    registry[key("56-residual-rl", "target", "target")] = target;
    registry[key("56-residual-rl", "loss", "loss.1")] = critic_losses;
    registry[key("56-residual-rl", "loss", "loss.2")] = actor;
}

}  // namespace roars::golden::of_residual_rl
