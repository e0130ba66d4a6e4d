#include <gtest/gtest.h>

#include <numeric>

#include "../advantage/random_batch.hpp"
#include "roars/advantage/guided_critics.hpp"
#include "roars/algorithm.hpp"
#include "roars/critic/cautious_value.hpp"
#include "roars/critic/twin_delayed.hpp"
#include "roars/networks/variational.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/variational.hpp"
#include "roars/regularizer/advantage_constraint.hpp"

namespace roars::a2pr_test {
namespace {

using Values = std::vector<double>;
using View = std::span<const double>;

template <class Term>
using RowsOf = Batch<double, unite_t<needs_of<Term>, columns<col::mask>,
                                     decltype(roars::detail::gradients_of(typename Term::differentiates{}))>>;

/// Rows of random numbers, positive ones for deviations; rows of two numbers, codes of three.
template <class Term>
RowsOf<Term> any_rows(Draw& draw, std::int64_t rows) {
    RowsOf<Term> batch{Offsets(std::vector<std::int64_t>{0, rows})};
    auto fill = [&]<class C>(C column) {
        if constexpr (!is_gradient_v<C>) {
            bool of_code = C::name.starts_with("latent");
            if constexpr (contains_v<C, typename Term::rows>) batch.set_width(column, of_code ? 3 : 2);
            for (double& x : batch[column])
                x = C::name == "mask" ? 1.0 : C::name == "latent_deviation" ? draw.real(0.2, 2) : draw.real(-1, 1);
        }
    };
    for_each_column(typename RowsOf<Term>::Columns{}, fill);
    return batch;
}
template <class Term>
auto mean_of(const Term& term, RowsOf<Term>& batch) {
    backend::Host host;
    return evaluate(host, batch, {count(host, batch)}, Weighed<Term, aggregate::TokenMean>{term, {}});
}
template <class Term>
void expect_the_gradients(const Term& term, RowsOf<Term> batch) {
    mean_of(term, batch);
    for_each_column(typename Term::differentiates{}, [&]<class C>(C column) {
        Values gradient(batch[col::grad<C>{}].begin(), batch[col::grad<C>{}].end());
        RC_ASSERT(gradient.size() == batch[column].size());
        for (std::size_t i = 0; i < gradient.size(); ++i) {
            auto moved = batch;
            moved[column][i] += 1e-6;
            double above = mean_of(term, moved).loss();
            moved[column][i] -= 2e-6;
            RC_ASSERT(std::abs((above - mean_of(term, moved).loss()) / 2e-6 - gradient[i]) <= 1e-6);
        }
    });
}

using regularizer::AdvantageConstraint;

RC_GTEST_PROP(AdvantageConstraint, PullsToTheBetterActionAndTheGradientIsTheFiniteDifference, ()) {
    Draw draw = any_draw();
    AdvantageConstraint term{draw.real(0.1, 2)};
    auto batch = any_rows<AdvantageConstraint>(draw, draw.whole(1, 8));
    expect_the_gradients(term, batch);
    auto result = mean_of(term, batch);
    double expected = 0, active = 0;
    for (std::int64_t i = 0; i < batch.tokens(); ++i) {
        double model = batch.row(col::model_q{}, i)[0], taken = batch.row(col::taken_q{}, i)[0];
        if (std::max(model, taken) < batch.row(col::value{}, i)[0]) continue;
        ++active;
        auto guide = model >= taken ? batch.row(col::model_action{}, i) : batch.row(col::action{}, i);
        for (std::size_t j = 0; j < 2; ++j)
            expected += term.coefficient * std::pow(batch.row(col::policy_action{}, i)[j] - guide[j], 2) /
                        double(2 * batch.tokens());
    }
    RC_ASSERT(close(result.loss(), expected));
    RC_ASSERT(close(result.metric("active"), active / double(batch.tokens())));
    // The same number added to every value of an action and a state changes nothing.
    auto shifted = batch;
    for (double& x : shifted[col::model_q{}]) x += 64;
    for (double& x : shifted[col::taken_q{}]) x += 64;
    for (double& x : shifted[col::value{}]) x += 64;
    RC_ASSERT(close(mean_of(term, shifted).loss(), expected, 1e-6));
}

TEST(AdvantageConstraint, Ties) {
    EXPECT_TRUE(AdvantageConstraint::guide(1, 1, 0).of_model);
    EXPECT_TRUE(AdvantageConstraint::guide(1, 0.5, 1).active);
    EXPECT_FALSE(AdvantageConstraint::guide(0.5, 1, 1).active);
    EXPECT_TRUE(AdvantageConstraint::guide(1, 1, 1).active);
    EXPECT_FALSE(AdvantageConstraint::guide(0.5, 0.9, 1).active);
}

TEST(AdvantageConstraint, WhereNothingIsActiveNothingIsPulled) {
    Draw draw(1);
    auto batch = any_rows<AdvantageConstraint>(draw, 4);
    for (double& value : batch[col::value{}]) value = 5;
    EXPECT_EQ(mean_of(AdvantageConstraint{}, batch).loss(), 0.0);
    for (double slope : batch[col::grad<col::policy_action>{}]) EXPECT_EQ(slope, 0.0);
    // One active row of four is divided by four.
    batch[col::value{}][2] = -5;
    double one = mean_of(AdvantageConstraint{}, batch).loss();
    auto alone = batch.slice_sequences(0, 0);
    EXPECT_EQ(mean_of(AdvantageConstraint{}, alone).loss(), 0.0);
    batch[col::mask{}][0] = batch[col::mask{}][1] = batch[col::mask{}][3] = 0;
    batch[col::model_q{}][0] = not_a_number;
    EXPECT_NEAR(mean_of(AdvantageConstraint{}, batch).loss(), 4 * one, 1e-12);
    batch[col::mask{}][0] = 1;
    EXPECT_THROW(mean_of(AdvantageConstraint{}, batch), Error);
}

RC_GTEST_PROP(VariationalLoss, TheGradientsAreTheFiniteDifferences, ()) {
    Draw draw = any_draw();
    surrogate::Variational term{draw.real(0.5, 2), draw.real(0.1, 1), draw.real(-0.5, 0.5)};
    expect_the_gradients(term, any_rows<surrogate::Variational>(draw, draw.whole(1, 6)));
}

TEST(VariationalLoss, WithoutAGoodActionOnlyTheDivergenceTrains) {
    Draw draw(2);
    surrogate::Variational term;
    auto batch = any_rows<surrogate::Variational>(draw, 3);
    std::copy(batch[col::taken_q{}].begin(), batch[col::taken_q{}].end(), batch[col::value{}].begin());  // equal
    auto result = mean_of(term, batch);
    EXPECT_EQ(result.metric("selected"), 0.0);
    EXPECT_EQ(result.metric("reconstruction_loss"), 0.0);
    EXPECT_NEAR(result.loss(), 0.5 * result.metric("latent_divergence"), 1e-15);
    for (double slope : batch[col::grad<col::reconstruction>{}]) EXPECT_EQ(slope, 0.0);
    EXPECT_NE(batch[col::grad<col::latent_mean>{}][0], 0.0);
    // One good row of three is divided by three.
    batch[col::value{}][1] -= 1e-3;
    double square = 0;
    for (std::size_t j = 0; j < 2; ++j)
        square += std::pow(batch.row(col::reconstruction{}, 1)[j] - batch.row(col::action{}, 1)[j], 2) / 6;
    EXPECT_NEAR(mean_of(term, batch).metric("reconstruction_loss"), square, 1e-12);
    // A standard normal code costs nothing.
    for (double& m : batch[col::latent_mean{}]) m = 0;
    for (double& s : batch[col::latent_deviation{}]) s = 1;
    EXPECT_EQ(mean_of(term, batch).metric("latent_divergence"), 0.0);
}

RC_GTEST_PROP(CautiousValue, IsNeverAboveTheCriticsTargetAndTheRewardAtAnEnd, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    std::size_t rows = std::size_t(draw.whole(0, 30));
    Values reward(rows), ended(rows), q1(rows), q2(rows), own1(rows), own2(rows), target(rows), value(rows);
    for (std::size_t i = 0; i < rows; ++i) {
        reward[i] = draw.real(-1, 1), ended[i] = draw.chance(0.3);
        bool spoilt = ended[i] != 0;
        for (auto* q : {&q1, &q2, &own1, &own2}) (*q)[i] = spoilt ? not_a_number : draw.real(-1, 1);
    }
    critic::TwinDelayed{.gamma = 0.9}.target(host, View(reward), View(ended), View(q1), View(q2), std::span(target));
    critic::CautiousValue{0.9}.target(host, View(reward), View(ended), View(target), View(own1), View(own2),
                                      std::span(value));
    for (std::size_t i = 0; i < rows; ++i) {
        double least = std::min({q1[i], q2[i], own1[i], own2[i]});
        RC_ASSERT(close(value[i], ended[i] != 0 ? reward[i] : reward[i] + 0.9 * least));
        RC_ASSERT(value[i] <= target[i]);
    }
}

network::Variational<double> small_model() {
    network::VariationalSettings settings;
    settings.state_width = 2, settings.action_width = 2, settings.code_width = 3, settings.hidden = {7};
    settings.bound = 1.5;
    return network::Variational<double>(settings);
}

/// Through both networks and the code, with the loss of the paper.
TEST(VariationalModel, TheGradientOfItsLossIsTheFiniteDifference) {
    Draw draw(3);
    auto model = small_model();
    Values parameters(std::size_t(model.parameters())), gradient(parameters.size()), noise(15);
    model.initialise(parameters, 5);
    for (double& x : noise) x = draw.real(-1, 1);
    surrogate::Variational term;
    auto batch = any_rows<surrogate::Variational>(draw, 5);
    Values state(10);
    for (double& x : state) x = draw.real(-1, 1);
    auto loss = [&](const Values& values) {
        model.forward(values, state, batch[col::action{}], noise);
        std::copy(model.reconstruction().begin(), model.reconstruction().end(), batch[col::reconstruction{}].begin());
        std::copy(model.mean().begin(), model.mean().end(), batch[col::latent_mean{}].begin());
        std::copy(model.deviation().begin(), model.deviation().end(), batch[col::latent_deviation{}].begin());
        return mean_of(term, batch).loss();
    };
    loss(parameters);
    model.backward(parameters, batch[col::grad<col::reconstruction>{}], batch[col::grad<col::latent_mean>{}],
                   batch[col::grad<col::latent_deviation>{}], gradient);
    for (std::size_t i = 0; i < parameters.size(); ++i) {
        Values moved = parameters;
        moved[i] += 1e-6;
        double above = loss(moved);
        moved[i] -= 2e-6;
        EXPECT_NEAR((above - loss(moved)) / 2e-6, gradient[i], 1e-6) << i;
    }
    for (double x : model.reconstruction()) EXPECT_LE(std::abs(x), 1.5);
}

TEST(VariationalModel, TheDeviationIsHeldBeforeTheExponential) {
    auto model = small_model();
    Values parameters(std::size_t(model.parameters())), gradient(parameters.size()), noise(3, 0.5), state(2, 1),
        action(2, 1);
    for (double sign : {-1.0, 1.0}) {
        std::fill(parameters.begin(), parameters.end(), sign * 100.0);
        model.forward(parameters, state, action, noise);
        for (double s : model.deviation()) EXPECT_NEAR(s, std::exp(sign < 0 ? -4.0 : 15.0), 1e-9 * s);
        std::fill(gradient.begin(), gradient.end(), 0.0);
        model.backward(parameters, Values(2, 0.0), Values(3, 0.0), Values(3, 1.0), gradient);
        for (double slope : gradient) EXPECT_EQ(slope, 0.0);
    }
}

TEST(VariationalModel, ShapesThatDoNotFitAreRefusedAndNoRowIsNoWork) {
    auto model = small_model();
    Values parameters(std::size_t(model.parameters())), gradient(parameters.size());
    model.initialise(parameters, 1);
    EXPECT_THROW(model.forward(Values(3), Values(2), Values(2), Values(3)), Error);
    EXPECT_THROW(model.forward(parameters, Values(3), Values(2), Values(3)), Error);
    EXPECT_THROW(model.forward(parameters, Values(2), Values(1), Values(3)), Error);
    EXPECT_THROW(model.decode(parameters, Values(2), Values(4)), Error);
    model.forward(parameters, {}, {}, {});
    model.backward(parameters, {}, {}, {}, gradient);
    EXPECT_TRUE(model.reconstruction().empty());
    EXPECT_EQ(std::accumulate(gradient.begin(), gradient.end(), 0.0), 0.0);
    EXPECT_EQ(network::Variational<float>(network::VariationalSettings{}).settings().code_width, 2);
}

/// One-step rows: the reward of an action a in state s is 1 - (a - s)^2, half the actions of the data are near s.
using Guided = advantage::GuidedCritics;
using Steps = Batch<double, unite_t<needs_of<Guided>, gives_of<Guided>, columns<col::mask>>>;
Steps one_step_rows(Draw& draw, std::int64_t rows) {
    Steps batch{Offsets(std::vector<std::int64_t>{0, rows})};
    for (std::int64_t i = 0; i < rows; ++i) {
        auto t = std::size_t(i);
        double s = draw.real(-0.8, 0.8), a = draw.chance(0.5) ? s + draw.real(-0.1, 0.1) : draw.real(-1, 1);
        batch[col::state{}][t] = s, batch[col::next_state{}][t] = s;
        batch[col::action{}][t] = a;
        batch[col::policy_action{}][t] = draw.real(-1, 1);
        batch[col::token_reward{}][t] = 1 - (a - s) * (a - s);
        batch[col::terminated{}][t] = 1;
        batch[col::mask{}][t] = 1;
    }
    return batch;
}
Guided small_guided() {
    Guided part;
    part.critics.network = part.value_network = {.width = 16, .layers = 2};
    part.critics.step.learning_rate = part.value_step.learning_rate = 3e-3;
    part.model.width = 16;
    part.model.loss.divergence_weight = 0.05;
    part.model.step.learning_rate = 3e-3;
    return part;
}

TEST(GuidedCritics, LearnTheValuesAndReconstructTheGoodActions) {
    Draw draw(4);
    backend::Host host;
    Guided part = small_guided();
    Guided::StateOf<double> state;
    for (std::uint32_t iteration = 0; iteration < 600; ++iteration) {
        auto batch = one_step_rows(draw, 32);
        roars::Run run{host, Random(7).at(iteration), Progress{iteration, 600}};
        part.learn(run, state, batch);
    }
    auto batch = one_step_rows(draw, 400);
    roars::Run run{host, Random(7).at(600), Progress{600, 600}};
    part.estimate(run, state, batch);
    double q_error = 0, value_error = 0, from_good = 0, from_policy = 0;
    for (std::size_t t = 0; t < 400; ++t) {
        double s = batch[col::state{}][t], reward = batch[col::token_reward{}][t];
        // Of uniform actions E (a - s)^2 = 1/3 + s^2, of the near ones 0.01 / 3.
        double value = 1 - 0.5 * (1.0 / 3 + s * s) - 0.5 * 0.01 / 3;
        q_error += std::abs(batch[col::taken_q{}][t] - reward) / 400;
        value_error += std::abs(batch[col::value{}][t] - value) / 400;
        from_good += std::abs(batch[col::model_action{}][t] - s) / 400;
        from_policy += std::abs(batch[col::policy_action{}][t] - s) / 400;
    }
    EXPECT_LT(q_error, 0.05);
    EXPECT_LT(value_error, 0.08);
    EXPECT_LT(from_good, 0.5 * from_policy);
    // What is said of the model's action is the critic's value of it.
    auto asked = batch;
    std::copy(batch[col::model_action{}].begin(), batch[col::model_action{}].end(),
              asked[col::policy_action{}].begin());
    part.estimate(run, state, asked);
    for (std::size_t t = 0; t < 400; ++t) EXPECT_NEAR(asked[col::q{}][t], batch[col::model_q{}][t], 1e-12);
}

TEST(GuidedCritics, AreAFunctionOfTheSeedAndMaskedRowsTeachNothing) {
    backend::Host host;
    Guided part = small_guided();
    auto learnt = [&](bool masked_rows) {
        Draw draw(5);
        Guided::StateOf<double> state;
        for (std::uint32_t iteration = 0; iteration < 3; ++iteration) {
            auto batch = one_step_rows(draw, 16);
            for (std::size_t t = 8; t < 16; ++t) {
                batch[col::mask{}][t] = 0;
                if (masked_rows) batch[col::token_reward{}][t] = 1e6;
            }
            roars::Run run{host, Random(7).at(iteration)};
            part.learn(run, state, batch);
        }
        Values all = state.model.parameters;
        all.insert(all.end(), state.value.online.begin(), state.value.online.end());
        all.insert(all.end(), state.critics.networks.online.begin(), state.critics.networks.online.end());
        return all;
    };
    EXPECT_EQ(learnt(false), learnt(false));
    EXPECT_EQ(learnt(false), learnt(true));
    Steps nothing;
    Guided::StateOf<double> state;
    roars::Run run{host};
    part.learn(run, state, nothing);
    part.estimate(run, state, nothing);
}

}  // namespace
}  // namespace roars::a2pr_test
