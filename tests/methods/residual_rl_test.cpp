#include "rows.hpp"

#include "roars/critic/ensemble_loss.hpp"
#include "roars/critic/multistep.hpp"
#include "roars/critic/n_step_rows.hpp"
#include "roars/critic/shown.hpp"
#include "roars/objective.hpp"
#include "roars/optimizer/aggregate.hpp"
#include "roars/optimizer/surrogates/climb.hpp"
#include "roars/regularizer/action_size.hpp"
#include "roars/sampler/residual.hpp"
#include "roars/sampler/two_sources.hpp"

namespace roars::residual_rl_test {
namespace {

using sampler::ResidualAction;

TEST(ResidualRl, AtTheStartTheBaseActsBitForBit) {
    Numbers numbers(1);
    Values base = numbers.reals(20, -1, 1), zero(20), residual(20), executed(20);
    base[0] = -1, base[1] = 1;
    backend::Host host;
    ResidualAction part;
    part.residual<double>(host, zero, zero, residual);
    part.execute<double>(host, 0, base, residual, executed);
    EXPECT_EQ(executed, base);
    part.progressive_steps = 100;  // at step 0 whatever the network says
    part.residual<double>(host, Values(20, 1.0), zero, residual);
    part.execute<double>(host, 0, base, residual, executed);
    EXPECT_EQ(executed, base);
}
RC_GTEST_PROP(ResidualRl, AnActionIsNeverOutsideNorFarFromTheBase, (std::uint32_t seed)) {
    Numbers numbers(seed);
    ResidualAction part{.action_scale = numbers.real(0, 1), .std = numbers.real(0, 1)};
    part.progressive_steps = numbers.whole(0, 10);
    Values base = numbers.reals(12, -1, 1), mean = numbers.reals(12, -1, 1), noise = numbers.reals(12, -4, 4),
           uniform = numbers.reals(12, 0, 1), residual(12), executed(12), warm(12);
    backend::Host host;
    part.residual<double>(host, mean, noise, residual);
    part.execute<double>(host, numbers.whole(0, 20), base, residual, executed);
    part.warm_up<double>(host, base, uniform, warm);
    for (std::size_t i = 0; i < 12; ++i) {
        RC_ASSERT(std::abs(executed[i]) <= 1 && std::abs(warm[i]) <= 1 && std::abs(residual[i]) < 1);
        RC_ASSERT(std::abs(executed[i] - base[i]) <= part.action_scale + part.noise_clip + 1e-12);
        RC_ASSERT(std::abs(warm[i] - base[i]) <= part.warmup_scale + 1e-12);
    }
}
RC_GTEST_PROP(ResidualRl, ActionsComeBackFromTheEnvironmentsRange, (std::uint32_t seed)) {
    Numbers numbers(seed);
    Values demonstrated = numbers.reals(15, -3, 8);
    for (std::size_t i = 0; i < 5; ++i) demonstrated[3 * i + 1] = 2.5;  // a constant dimension
    auto range = sampler::action_range(Read{demonstrated, 3});
    RC_ASSERT(std::abs(range.high[1] - range.low[1] - 0.1) < 1e-12);
    Values normalised(15), back(15);
    range.from_environment(Read{demonstrated, 3}, Write{normalised, 3});
    range.to_environment(Read{normalised, 3}, Write{back, 3});
    for (std::size_t i = 0; i < 15; ++i) {
        RC_ASSERT(std::abs(normalised[i]) <= 1.0);
        RC_ASSERT(std::abs(back[i] - demonstrated[i]) < 1e-12);
    }
    RC_ASSERT(std::abs(normalised[1]) < 1e-12);
    expect_error([&] { range.to_environment(Read{normalised, 5}, Write{back, 5}); }, "actions have 5 dimensions");
    expect_error([] { sampler::action_range(Read{{}, 2}); }, "no demonstration");
    RC_ASSERT(!::testing::Test::HasFailure());
}

/// The rows that look ahead give, with any value behind them, the targets of critic::NStep.
RC_GTEST_PROP(ResidualRl, RowsGiveTheTargetsOfNStep, (std::uint32_t seed)) {
    Numbers numbers(seed);
    std::int64_t rows = numbers.whole(1, 15);
    critic::NStepRows part{0.9, numbers.whole(1, 5)};
    Values reward = numbers.reals(rows), terminated = numbers.flags(rows, 0.2), truncated = numbers.flags(rows, 0.2),
           next = numbers.reals(rows), done(terminated), target(reward.size());
    for (std::size_t i = 0; i < done.size(); ++i) done[i] = terminated[i] != 0 || truncated[i] != 0;
    backend::Host host = {.grain = 3};
    auto found = part.of<double>(host, reward, terminated, truncated);
    std::vector<std::int64_t> offsets{0, rows};
    critic::NStep{part.gamma, part.n}.target(host, critic::Steps<double>{offsets, reward, next, terminated, done},
                                             std::span<double>(target));
    for (std::size_t t = 0; t < found.size(); ++t) {
        const auto& row = found[t];
        double ours = row.reward + row.discount * next[std::size_t(row.next) - 1];
        RC_ASSERT(std::abs(ours - target[t]) < 1e-9);
        RC_ASSERT(row.next > std::int64_t(t) && row.next <= std::min(rows, std::int64_t(t) + part.n));
        if (!row.whole) RC_ASSERT(row.next == rows);
    }
}
TEST(ResidualRl, OnlyATerminationCutsTheBootstrap) {
    backend::Host host;
    Values reward{1, 1, 1, 1}, terminated{0, 1, 0, 0}, truncated{0, 0, 1, 0};
    auto rows = critic::NStepRows{0.5, 3}.of<double>(host, reward, terminated, truncated);
    EXPECT_EQ(rows[0].reward, 1.5);
    EXPECT_EQ(rows[0].discount, 0.0);
    EXPECT_TRUE(rows[0].whole);
    EXPECT_EQ(rows[2].discount, 0.5);
    EXPECT_FALSE(rows[3].whole) << "the stream ends before its episode";
    EXPECT_TRUE((critic::NStepRows{}.of<double>(host, {}, {}, {}).empty()));
    expect_error([&] { critic::NStepRows{0.9, 0}.of<double>(host, reward, terminated, truncated); }, "n is 0");
    expect_error([&] { critic::NStepRows{}.of<double>(host, reward, terminated, {}); }, "truncated has 0 values");
}

TEST(ResidualRl, ADemonstrationSucceedsAtItsLastFrame) {
    Values demonstrated{0.5, 0.25, 1, -1}, base{0, 0, 0.5, 0.5};
    auto rows = sampler::demonstration_rows(Read{demonstrated, 1}, Read{base, 1});
    EXPECT_EQ(rows.reward, (Values{0, 0, 1}));
    EXPECT_EQ(rows.terminated, rows.reward);
    EXPECT_EQ(rows.residual, (Values{0.5, 0.25, 0.5}));
    EXPECT_TRUE(sampler::demonstration_rows(Read{demonstrated, 4}, Read{base, 4}).reward.empty()) << "one frame";
    EXPECT_TRUE(sampler::demonstration_rows(Read{{}, 1}, Read{{}, 1}).reward.empty());
    expect_error([&] { sampler::demonstration_rows(Read{demonstrated, 1}, Read{base, 2}); }, "an action of the base");
}
RC_GTEST_PROP(ResidualRl, TheBatchIsMixedAsAskedFor, (std::uint32_t seed)) {
    Numbers numbers(seed);
    sampler::TwoSources part{numbers.whole(0, 9), numbers.whole(0, 4) / 4.0};
    Values uniform = numbers.reals(part.batch_size, 0, 1);
    auto rows = part.draw(3, 5, uniform);
    RC_ASSERT(rows.online ==
              part.batch_size - std::int64_t(std::floor(double(part.batch_size) * part.offline_fraction)));
    for (std::size_t i = 0; i < rows.index.size(); ++i)
        RC_ASSERT(rows.index[i] >= 0 && rows.index[i] < (std::int64_t(i) < rows.online ? 3 : 5));
}
TEST(ResidualRl, AMemoryThatIsNotAskedMayBeEmpty) {
    Values uniform{0.5, 0.5, 0.5};
    EXPECT_EQ((sampler::TwoSources{3, 0.5}.draw(1, 1, uniform).online), 2)
        << "an odd batch: floor for the offline part";
    EXPECT_EQ((sampler::TwoSources{3, 0.0}.draw(4, 0, uniform).index), (std::vector<std::int64_t>{2, 2, 2}));
    EXPECT_EQ((sampler::TwoSources{3, 1.0}.draw(0, 4, uniform).online), 0);
    expect_error([&] { sampler::TwoSources{3, 0.5}.draw(4, 0, uniform); }, "the offline memory is empty");
    expect_error([&] { sampler::TwoSources{3, 0.5}.draw(0, 4, uniform); }, "the online memory is empty");
    expect_error([&] { sampler::TwoSources{3, 1.5}.draw(4, 4, uniform); }, "offline_fraction is 1.5");
    expect_error([&] { sampler::TwoSources{4, 0.5}.draw(4, 4, uniform); }, "3 random numbers");
}

RC_GTEST_PROP(ResidualRl, MoreHeadsNeverRaiseTheTarget, (std::uint32_t seed)) {
    Numbers numbers(seed);
    Values q = numbers.reals(20), reward = numbers.reals(5), discount = numbers.reals(5, 0, 1), two(5), all(5), one(5);
    backend::Host host;
    critic::SubsetMinimum part;
    std::vector<std::int64_t> pair{2, 0}, every{0, 1, 2, 3}, single{2};
    part.target<double>(host, {q, 5}, pair, reward, discount, two);
    part.target<double>(host, {q, 5}, every, reward, discount, all);
    part.target<double>(host, {q, 5}, single, reward, discount, one);
    for (std::size_t i = 0; i < 5; ++i) {
        RC_ASSERT(all[i] <= two[i] && two[i] <= one[i]);
        RC_ASSERT(std::abs(two[i] - reward[i] - discount[i] * std::min(q[i], q[10 + i])) < 1e-12);
    }
    critic::SubsetMinimum{0, 1}.target<double>(host, {q, 5}, every, reward, discount, all);
    for (double y : all) RC_ASSERT(y >= 0 && y <= 1);
}
TEST(ResidualRl, AnEndLooksAtNoHead) {
    backend::Host host;
    Values q{nan, 1}, reward{3, 3}, discount{0, 0.5}, target(2);
    std::vector<std::int64_t> only{0}, none, outside{1};
    critic::SubsetMinimum{}.target<double>(host, {q, 2}, only, reward, discount, target);
    EXPECT_EQ(target, (Values{3, 3.5}));
    expect_error(
        [&] {
            critic::SubsetMinimum{}.target<double>(host, {q, 2}, none, reward, discount, target);
        },
        "no heads are drawn");
    expect_error(
        [&] {
            critic::SubsetMinimum{}.target<double>(host, {q, 2}, outside, reward, discount, target);
        },
        "head 1 is drawn of 1");
}
RC_GTEST_PROP(ResidualRl, TheSlopesOfTheEnsembleAreThose, (std::uint32_t seed)) {
    Numbers numbers(seed);
    std::int64_t heads = numbers.whole(1, 4), rows = numbers.whole(1, 4);
    Values q = numbers.reals(heads * rows), target = numbers.reals(rows), gradient(q), unused(q);
    backend::Host host;
    critic::ensemble_loss(host, Read{q, rows}, View(target), Write{gradient, rows});
    expect_slope(q, gradient, [&] {
        return critic::ensemble_loss(host, Read{q, rows}, View(target), Write{unused, rows});
    });
    double coupled = critic::coupled_ensemble_loss(host, Read{q, rows}, View(target), Write{gradient, rows});
    expect_slope(q, gradient, [&] {
        return critic::coupled_ensemble_loss(host, Read{q, rows}, View(target), Write{unused, rows});
    });
    RC_ASSERT(coupled <= critic::ensemble_loss(host, Read{q, rows}, View(target), Write{unused, rows}) + 1e-12);
    RC_ASSERT(!::testing::Test::HasFailure());
}
TEST(ResidualRl, AnEnsembleOfEqualHeadsIsOneHead) {
    backend::Host host;
    Values q{1, 2, 1, 2}, target{0, 2}, gradient(4), coupled(4), mean(2);
    EXPECT_EQ(critic::ensemble_loss(host, Read{q, 2}, View(target), Write{gradient, 2}), 0.5);
    EXPECT_EQ(critic::coupled_ensemble_loss(host, Read{q, 2}, View(target), Write{coupled, 2}), 0.5);
    EXPECT_EQ(gradient, coupled);
    critic::ensemble_mean<double>(host, {q, 2}, mean);
    EXPECT_EQ(mean, (Values{1, 2}));
    expect_error([&] { critic::ensemble_mean<double>(host, {{}, 2}, mean); }, "no heads");
    expect_error(
        [&] {
            critic::ensemble_loss(host, Read{q, 4}, View(target), Write{gradient, 4});
        },
        "target has 2 values, expected 4");
}

using Actions =
    Batch<double, columns<col::mask, col::policy_action, col::q, col::q_gradient, col::grad<col::policy_action>>>;
/// The critic q(x) = x . (1, -2, ...) - |x|^2 of the executed action; a state is one number and the base's action.
RC_GTEST_PROP(ResidualRl, TheClipPassesASlopeOnlyInside, (std::uint32_t seed)) {
    Numbers numbers(seed);
    std::int64_t rows = numbers.whole(1, 4), width = numbers.whole(1, 3);
    Actions batch(std::vector<std::int64_t>{0, rows});
    for (double& mask : batch[col::mask{}]) mask = 1;
    Values state = numbers.reals(rows * (width + 1), -1, 1), action = numbers.reals(rows * width, -1, 1), seen;
    batch.set_width(col::policy_action{}, width), batch.set_width(col::q_gradient{}, width);
    critic::shown::CorrectedAction shown{numbers.real(0.2, 1.5)};
    regularizer::ActionSize size{numbers.real(0, 1)};
    backend::Host host;
    auto loss = [&] {
        std::copy(action.begin(), action.end(), batch[col::policy_action{}].begin());
        shown.rows<double>(state, width + 1, action, width, seen);
        Read states{state, width + 1}, what{seen, width + 1}, actions{action, width};
        for (std::int64_t i = 0; i < rows; ++i) {
            Values by_shown(std::size_t(width) + 1);
            double q = 0;
            RC_ASSERT(what[i][0] == states[i][0]);
            for (std::size_t d = 1; d <= std::size_t(width); ++d) {
                double slope = d % 2 ? 1 : -2, x = what[i][d];
                RC_ASSERT(std::abs(x) <= 1.0);
                q += slope * x - x * x;
                by_shown[d] = slope - 2 * x;
            }
            batch[col::q{}][std::size_t(i)] = q;
            for (std::size_t d = 0; d < std::size_t(width); ++d)
                batch.row(col::q_gradient{}, i)[d] = shown.by_action(states[i], actions[i], View(by_shown), d);
        }
        Counts counts = count(host, batch);
        return evaluate(host, batch, {counts, counts}, Weighed<surrogate::Climb, aggregate::TokenMean>{{}, {}},
                        Weighed<regularizer::ActionSize, aggregate::TokenMean>{size, {}})
            .loss();
    };
    loss();
    Values slope(batch[col::grad<col::policy_action>{}].begin(), batch[col::grad<col::policy_action>{}].end());
    expect_slope(action, slope, loss);
    RC_ASSERT(!::testing::Test::HasFailure());
}

}  // namespace
}  // namespace roars::residual_rl_test
