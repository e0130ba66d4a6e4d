/// The rules of critics of control and the losses of whole rows, each against a copy of the bytes it moves, in one run:
/// share_of_copy = 1 at the limit of the memory. What is made of matrix products is raced against those alone.
#include <string>
#include <utility>

#include "roars/advantage/conservative_lagrangian.hpp"
#include "roars/advantage/critic_weight.hpp"
#include "roars/critic/batch_constrained.hpp"
#include "roars/critic/behaviour_cloning.hpp"
#include "roars/critic/behaviour_regularised.hpp"
#include "roars/critic/categorical.hpp"
#include "roars/critic/conservative.hpp"
#include "roars/critic/double_q.hpp"
#include "roars/critic/ensemble_loss.hpp"
#include "roars/critic/expected_sarsa.hpp"
#include "roars/critic/pop_art.hpp"
#include "roars/critic/quantile.hpp"
#include "roars/critic/soft_actor_critic.hpp"
#include "roars/critic/target_network.hpp"
#include "roars/critic/twin_delayed.hpp"
#include "roars/critic/two_hot.hpp"
#include "roars/critic/value_transform.hpp"
#include "roars/objective.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/all_actions.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/optimizer/surrogates/quantile_regression.hpp"
#include "roars/optimizer/surrogates/variational.hpp"
#include "roars/primitives/matrix.hpp"
#include "roars/regularizer/gaussian_trust.hpp"
#include "roars/regularizer/mean_discrepancy.hpp"
#include "roars/regularizer/near_action.hpp"
#include "rollouts.hpp"

namespace {

using namespace roars;
using bench::add;
using critic::Rows;

constexpr std::int64_t rows = 1 << 17, actions = 8, samples = 10, width = 6, atoms = 51, quantiles = 32;

/// A column or a matrix of a critic's numbers.
class Numbers {
public:
    Numbers(std::int64_t columns, std::uint32_t which, double mean = 0.0, double spread = 1.0)
        : values_(static_cast<std::size_t>(rows * columns)), columns_(columns) {
        bench::fill_normal(std::span(values_), which, mean, spread);
    }
    /// Of flags: 1 with the given probability.
    static Numbers flags(std::uint32_t which, double probability) {
        Numbers made(1, which);
        bench::fill_flags(std::span(made.values_), which, probability);
        return made;
    }
    /// Each row a distribution.
    static Numbers distributions(std::int64_t columns, std::uint32_t which) {
        Numbers made(columns, which);
        for (std::int64_t i = 0; i < rows; ++i) {
            auto row = Rows<float>{made.values_, columns}[i];
            float sum = 0;
            for (float& each : row) sum += each = std::exp(each);
            for (float& each : row) each /= sum;
        }
        return made;
    }
    std::int64_t bytes() const { return std::ssize(values_) * std::int64_t(sizeof(float)); }
    std::span<const float> read() const { return values_; }
    std::span<float> write() { return values_; }
    Rows<const float> matrix() const { return {values_, columns_}; }
    Rows<float> matrix() { return {values_, columns_}; }

private:
    std::vector<float> values_;
    std::int64_t columns_;
};

/// part(backend, target, read...) reads what `read` makes and writes a matrix of `written` columns.
template <class Part, class... Read>
void rule(const std::string& name, std::int64_t written, Part part, Read... read) {
    add(name, [=](benchmark::State& state) mutable {
        Numbers target(written, 99);
        backend::Host backend;
        auto race = [&](const auto&... made) {
            std::int64_t read_bytes = (made.bytes() + ... + 0);
            // A copy has to read what it writes.
            bench::against_copy(state, {std::max(read_bytes, target.bytes()), target.bytes()}, rows,
                                [&] { part(backend, target, made...); });
        };
        race(read()...);
    });
}

/// The loss of whole rows and its slopes; `widen(batch)` says how wide the columns are.
template <class Term, class Widen>
void row_loss(const std::string& name, const Term& term, Widen widen) {
    using Slopes = decltype(bench::gradients(typename Term::differentiates{}));
    add(name, [=](benchmark::State& state) {
        Batch<float, unite_t<typename Term::needs, Slopes>> batch(bench::equal_segments(rows, 1));
        widen(batch);
        std::int64_t read = 0, written = 0;
        std::uint32_t which = 40;
        auto bytes = [&](auto column) { return std::ssize(batch[column]) * std::int64_t(sizeof(float)); };
        for_each_column(typename Term::needs{}, [&](auto column) {
            bench::fill_normal(batch[column], which++, 1.0, 0.1);
            read += bytes(column);
        });
        for_each_column(typename Term::differentiates{}, [&](auto column) { written += bytes(column); });
        backend::Host backend;
        bench::against_copy(state, {read, written}, rows, [&] {
            auto result = evaluate(backend, batch, {count(backend, batch)}, Weighed{term, aggregate::TokenMean{}});
            benchmark::DoNotOptimize(result.loss());
        });
    });
}

auto numbers(std::int64_t columns, std::uint32_t which, double mean = 0.0, double spread = 1.0) {
    return [=] { return Numbers(columns, which, mean, spread); };
}
auto flags(std::uint32_t which, double probability = 0.01) {
    return [=] { return Numbers::flags(which, probability); };
}
auto distributions(std::int64_t columns, std::uint32_t which) {
    return [=] { return Numbers::distributions(columns, which); };
}

void add_targets() {
    auto reward = numbers(1, 1);
    auto ends = flags(2);
    rule(
        "target/DoubleQ", 1,
        [](auto& backend, auto& y, auto& r, auto& end, auto& online, auto& target) {
            critic::DoubleQ{}.target(backend, r.read(), end.read(), online.matrix(), target.matrix(), y.write());
        },
        reward, ends, numbers(actions, 3), numbers(actions, 4));
    rule(
        "target/ExpectedSarsa", 1,
        [](auto& backend, auto& y, auto& r, auto& end, auto& p, auto& q) {
            critic::ExpectedSarsa{}.target(backend, r.read(), end.read(), p.matrix(), q.matrix(), y.write());
        },
        reward, ends, distributions(actions, 3), numbers(actions, 4));
    rule(
        "target/PersistentQ", 1,
        [](auto& backend, auto& y, auto& r, auto& end, auto& taken, auto& q) {
            critic::PersistentQ{}.target(backend, r.read(), end.read(), taken.read(), q.matrix(), y.write());
        },
        reward, ends, flags(3), numbers(actions, 4));
    rule(
        "target/TransformedTarget", 1,
        [](auto& backend, auto& y, auto& r, auto& end, auto& next) {
            critic::TransformedTarget<>{}.target(backend, r.read(), next.read(), end.read(), y.write());
        },
        reward, ends, numbers(1, 3));
    rule(
        "target/TwinDelayed", 1,
        [](auto& backend, auto& y, auto& r, auto& end, auto& q1, auto& q2) {
            critic::TwinDelayed{}.target(backend, r.read(), end.read(), q1.read(), q2.read(), y.write());
        },
        reward, ends, numbers(1, 3), numbers(1, 4));
    rule(
        "target/TwinDelayed, smoothed actions", width,
        [](auto& backend, auto& action, auto& policy, auto& noise) {
            critic::TwinDelayed{}.smooth(backend, policy.read(), noise.read(), action.write());
        },
        numbers(width, 3), numbers(width, 4));
    rule(
        "target/SoftActorCritic", 1,
        [](auto& backend, auto& y, auto& r, auto& end, auto& q1, auto& q2, auto& logp) {
            critic::SoftActorCritic{}.target(backend, 0.2, r.read(), end.read(), q1.read(), q2.read(), logp.read(),
                                             y.write());
        },
        reward, ends, numbers(1, 3), numbers(1, 4), numbers(1, 5));
    rule(
        "target/BatchConstrained", 1,
        [](auto& backend, auto& y, auto& r, auto& end, auto& q) {
            critic::BatchConstrained{}.target(backend, r.read(), end.read(),
                                              Rows<const float>{q.read(), rows * samples}, y.write());
        },
        reward, ends, numbers(2 * samples, 3));
    rule(
        "target/BehaviourRegularised", 1,
        [](auto& backend, auto& y, auto& r, auto& end, auto& q1, auto& q2, auto& own, auto& taken) {
            critic::BehaviourRegularised{}.target(backend, r.read(), end.read(), q1.read(), q2.read(), own.matrix(),
                                                  taken.matrix(), y.write());
        },
        reward, ends, numbers(1, 3), numbers(1, 4), numbers(width, 5), numbers(width, 6));
    rule(
        "target/SubsetMinimum", 1,
        [](auto& backend, auto& y, auto& r, auto& discount, auto& q) {
            critic::SubsetMinimum{}.target(backend, Rows<const float>{q.read(), rows}, std::vector<std::int64_t>{0, 1},
                                           r.read(), discount.read(), y.write());
        },
        reward, numbers(1, 2, 0.9, 0.01), numbers(2, 3));
    std::vector<float> at;
    for (std::int64_t j = 0; j < atoms; ++j) at.push_back(-10.0f + 20.0f * float(j) / float(atoms - 1));
    rule(
        "target/CategoricalProjection", atoms,
        [at](auto& backend, auto& m, auto& r, auto& end, auto& p) {
            critic::CategoricalProjection{}.project(backend, std::span<const float>(at), r.read(), end.read(),
                                                    p.matrix(), m.matrix());
        },
        reward, ends, distributions(atoms, 3));
    rule(
        "target/TwoHot, encode", atoms,
        [](auto& backend, auto& p, auto& x) {
            critic::TwoHot{-10, 10, atoms}.encode(backend, x.read(), p.matrix());
        },
        numbers(1, 3));
    rule(
        "target/TwoHot, decode", 1,
        [](auto& backend, auto& x, auto& p) {
            critic::TwoHot{-10, 10, atoms}.decode(backend, p.matrix(), x.write());
        },
        distributions(atoms, 3));
}

void add_losses() {
    rule(
        "critic/QuantileHuber", quantiles,
        [](auto& backend, auto& grad, auto& theta, auto& y) {
            benchmark::DoNotOptimize(critic::QuantileHuber{}.loss(backend, theta.matrix(), y.matrix(), grad.matrix()));
        },
        numbers(quantiles, 3), numbers(quantiles, 4));
    rule(
        "critic/ImplicitQuantile", actions,
        [](auto& backend, auto& grad, auto& theta, auto& tau, auto& y) {
            benchmark::DoNotOptimize(
                critic::ImplicitQuantile{}.loss(backend, theta.matrix(), tau.matrix(), y.matrix(), grad.matrix()));
        },
        numbers(actions, 3), distributions(actions, 4), numbers(actions, 5));
    rule(
        "critic/cross_entropy", atoms,
        [](auto& backend, auto& grad, auto& logits, auto& m) {
            benchmark::DoNotOptimize(critic::cross_entropy(backend, logits.matrix(), m.matrix(), grad.matrix()));
        },
        numbers(atoms, 3), distributions(atoms, 4));
    rule(
        "critic/conservative_penalty", actions,
        [](auto& backend, auto& grad, auto& q, auto& taken) {
            benchmark::DoNotOptimize(critic::conservative_penalty(backend, q.matrix(), taken.read(), grad.matrix()));
        },
        numbers(actions, 3), flags(4));
    rule(
        "critic/SampledConservative", samples,
        [](auto& backend, auto& grad, auto& q, auto& density, auto& data) {
            benchmark::DoNotOptimize(critic::SampledConservative{}.penalty(backend, q.matrix(), density.matrix(),
                                                                           data.read(), grad.matrix()));
        },
        numbers(samples, 3), numbers(samples, 4), numbers(1, 5));
    rule(
        "critic/CalibratedConservative", samples,
        [](auto& backend, auto& grad, auto& q, auto& floor, auto& density, auto& data) {
            benchmark::DoNotOptimize(critic::CalibratedConservative{}.penalty(
                backend, q.matrix(), floor.matrix(), density.matrix(), data.read(), grad.matrix()));
        },
        numbers(samples, 3), numbers(samples, 4), numbers(samples, 5), numbers(1, 6));
    std::vector<float> by_q(static_cast<std::size_t>(rows));
    rule(
        "critic/BehaviourCloning", width,
        [by_q](auto& backend, auto& grad, auto& q, auto& own, auto& taken) mutable {
            benchmark::DoNotOptimize(critic::BehaviourCloning{}.loss(backend, q.read(), own.matrix(), taken.matrix(),
                                                                     std::span(by_q), grad.matrix()));
        },
        numbers(1, 3), numbers(width, 4), numbers(width, 5));
    rule(
        "critic/ensemble_loss", 2,
        [](auto& backend, auto& grad, auto& q, auto& y) {
            benchmark::DoNotOptimize(critic::ensemble_loss(backend, Rows<const float>{q.read(), rows}, y.read(),
                                                           Rows<float>{grad.write(), rows}));
        },
        numbers(2, 3), numbers(1, 4));
    rule(
        "critic/SoftActorCritic, actor's loss", 1,
        [](auto& backend, auto&, auto& logp, auto& q) {
            benchmark::DoNotOptimize(critic::SoftActorCritic{}.actor_loss(backend, 0.2, logp.read(), q.read()));
        },
        numbers(1, 3), numbers(1, 4));
    std::vector<float> weight(256), bias(1);
    rule(
        "critic/PopArt", 1,
        [=](auto&, auto&, auto& y, auto& output) mutable {
            critic::PopArt::State state;
            critic::PopArt{.step = 1e-6}.update(state, y.read(), output.read(), Rows<float>{weight, 1},
                                                std::span(bias));
        },
        numbers(1, 3), flags(4, 0.0));
    rule(
        "critic/Polyak", width,
        [](auto& backend, auto& target, auto& online) {
            critic::Polyak{}.follow(backend, online.read(), target.write());
        },
        numbers(width, 3));
    rule(
        "critic/Periodic, a copy", width,
        [](auto& backend, auto& target, auto& online) {
            critic::Periodic{.every = 1}.follow(backend, 1, online.read(), target.write());
        },
        numbers(width, 3));
    rule(
        "critic/Perturbation", width,
        [](auto& backend, auto& moved, auto& action, auto& u) {
            critic::Perturbation{}.apply(backend, action.read(), u.read(), moved.write());
        },
        numbers(width, 3), numbers(width, 4));
    rule(
        "critic/Perturbation, backward", width,
        [](auto& backend, auto& by_u, auto& action, auto& u, auto& slope) {
            critic::Perturbation{}.backward(backend, action.read(), u.read(), slope.read(), by_u.write());
        },
        numbers(width, 3), numbers(width, 4), numbers(width, 5));
    rule(
        "penalty/MeanDiscrepancy", samples * width,
        [](auto& backend, auto& grad, auto& own, auto& model) {
            benchmark::DoNotOptimize(
                regularizer::MeanDiscrepancy<>{}.penalty(backend, own.matrix(), model.matrix(), width, grad.matrix()));
        },
        numbers(samples * width, 3), numbers(samples * width, 4));
}

void add_row_losses() {
    auto climbed = [](auto& batch) {
        batch.set_width(col::policy_action{}, width);
        batch.set_width(col::q_gradient{}, width);
    };
    row_loss("row/Climb", surrogate::Climb{}, climbed);
    row_loss("row/BoundedClimb", surrogate::BoundedClimb{}, climbed);
    row_loss("row/NormalisedClimb", surrogate::NormalisedClimb{}.with({double(rows), rows}), climbed);
    row_loss("row/BehaviourCloning", regularizer::BehaviourCloning{}, [](auto& batch) {
        batch.set_width(col::policy_action{}, width);
        batch.set_width(col::action{}, width);
    });
    auto values_of = [](auto& batch) {
        batch.set_width(col::logits{}, actions);
        batch.set_width(col::action_values{}, actions);
    };
    row_loss("row/AllActions<Value>", surrogate::AllActions<surrogate::all_actions::Value>{}, values_of);
    row_loss("row/AllActions<RegretMatching>", surrogate::AllActions<surrogate::all_actions::RegretMatching>{},
             values_of);
    row_loss("row/AllActions<Regret>", surrogate::AllActions<surrogate::all_actions::Regret>{}, values_of);
    row_loss("row/QuantileRegression", surrogate::QuantileRegression{}, [](auto& batch) {
        batch.set_width(col::quantiles{}, quantiles);
        batch.set_width(col::target_quantiles{}, quantiles);
    });
    row_loss("row/Variational", surrogate::Variational{}, [](auto& batch) {
        for_each_column(surrogate::Variational::rows{}, [&](auto column) { batch.set_width(column, width); });
    });
    using Trust = regularizer::GaussianTrust<width>;
    row_loss("row/GaussianTrust", std::get<0>(Trust{}.terms(Trust::State{})), [](auto& batch) {
        for_each_column(regularizer::GaussianKl<width>::rows{}, [&](auto column) { batch.set_width(column, width); });
    });
}

/// The matrix products of one network of relu layers over `count` rows.
class Products {
public:
    Products(std::int64_t count, std::vector<std::int64_t> widths) {
        for (std::int64_t each : widths) values_.push_back(Matrix::Constant(each, count, 0.1f));
        for (std::size_t i = 0; i + 1 < widths.size(); ++i)
            weights_.push_back(Matrix::Constant(widths[i + 1], widths[i], 0.1f));
        gradients_ = weights_;
    }
    void forward() {
        for (std::size_t i = 0; i < weights_.size(); ++i) values_[i + 1].noalias() = weights_[i] * values_[i];
    }
    /// Of the weights, and of all inputs but the first ones.
    void backward() {
        for (std::size_t i = weights_.size(); i-- > 0;) {
            gradients_[i].noalias() = values_[i + 1] * values_[i].transpose();
            if (i > 0) values_[i].noalias() = weights_[i].transpose() * values_[i + 1];
        }
    }

private:
    using Matrix = Eigen::MatrixXf;
    std::vector<Matrix> values_, weights_, gradients_;
};

constexpr std::int64_t batch_rows = 256, states = 17;
const std::vector<std::int64_t> layers{states + width, 256, 256, 1};

template <class Advantage>
auto batch_of() {
    using Held = unite_t<needs_of<Advantage>, gives_of<Advantage>>;
    Batch<float, Held> batch(bench::equal_segments(batch_rows, 1));
    std::uint32_t which = 60;
    auto wide = [&]<class Column>(Column column, std::int64_t numbers_of_row) {
        if constexpr (contains_v<Column, Held>) {
            batch.set_width(column, numbers_of_row);
            bench::fill_normal(batch[column], which++, 0.0, 1.0);
        }
    };
    wide(col::state{}, states);
    wide(col::next_state{}, states);
    wide(col::action{}, width);
    wide(col::policy_action{}, width);
    wide(col::next_policy_action{}, width);
    wide(col::q_gradient{}, width);
    wide(col::sampled_action{}, samples * width);
    wide(col::sampled_logp{}, samples);
    wide(col::token_reward{}, 1);
    return batch;
}

/// The step of two critics of 2 x 256 units at 256 rows of 17 + 6 numbers: forward and backward of each, forward of its
/// target, and the same of the sampled actions of a penalty.
template <class Advantage>
void learn(benchmark::State& state) {
    constexpr bool conservative = contains_v<col::sampled_logp, needs_of<Advantage>>;
    auto batch = batch_of<Advantage>();
    backend::Host backend;
    Run run{backend};
    Advantage part{};
    state_of<Advantage> memory;
    Products network(batch_rows, layers), sampled(conservative ? batch_rows * samples : 1, layers);
    bench::against_products(
        state,
        [&] {
            for (int k = 0; k < 2; ++k) {
                network.forward();  // of the target
                network.forward();
                network.backward();
                if (!conservative) continue;
                sampled.forward();
                sampled.backward();
            }
        },
        [&] { part.learn(run, memory, batch); });
}
/// What the same critics say of an action of the data and of one of the policy.
void weigh(benchmark::State& state) {
    auto batch = batch_of<advantage::CriticWeight>();
    backend::Host backend;
    Run run{backend};
    advantage::CriticWeight part{};
    state_of<advantage::CriticWeight> memory;
    part.learn(run, memory, batch);
    Products network(batch_rows, layers);
    bench::against_products(
        state,
        [&] {
            for (int k = 0; k < 4; ++k) network.forward();
        },
        [&] { part.estimate(run, memory, batch); });
}

}  // namespace

int main(int argc, char** argv) {
    benchmark::Initialize(&argc, argv);
    if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
    add_targets();
    add_losses();
    add_row_losses();
    using advantage::ActionCritics, critic::SoftTarget;
    add("products/ActionCritics<SoftTarget>", learn<ActionCritics<SoftTarget>>);
    add("products/ActionCritics<SoftTarget, ConservativeLagrangian>",
        learn<ActionCritics<SoftTarget, advantage::penalty::ConservativeLagrangian>>);
    add("products/CriticWeight", weigh);
    benchmark::RunSpecifiedBenchmarks();
}
