#include <gtest/gtest.h>

#include <numeric>

#include "../advantage/random_batch.hpp"
#include "../critic/gradient.hpp"
#include "roars/critic/forward_backward.hpp"
#include "roars/critic/forward_backward_model.hpp"
#include "roars/regularizer/tuned_weight.hpp"
#include "roars/reward/task_inference.hpp"
#include "roars/sampler/contexts.hpp"
#include "roars/sampler/task_vectors.hpp"

namespace roars::zero_shot_test {
namespace {

using Values = std::vector<double>;
using Read = critic::Rows<const double>;
using Write = critic::Rows<double>;

Values numbers(Draw& draw, std::int64_t count, double size = 1) {
    Values values(static_cast<std::size_t>(count));
    for (double& x : values) x = draw.real(-size, size);
    return values;
}
double norm(std::span<const double> x) { return std::sqrt(std::inner_product(x.begin(), x.end(), x.begin(), 0.0)); }

/// Everything that goes into the loss: two forward networks, B, their targets, in one row of numbers each.
struct Model {
    std::int64_t rows, width;
    Values forward[2], backward, target_forward[2], target_backward, ended;

    Model(Draw& draw, std::int64_t rows_, std::int64_t width_) : rows(rows_), width(width_), ended(std::size_t(rows_)) {
        for (Values* each :
             {&forward[0], &forward[1], &backward, &target_forward[0], &target_forward[1], &target_backward})
            *each = numbers(draw, rows * width);
        for (double& each : ended) each = draw.chance(0.3);
    }
    Values target(const critic::ForwardBackward& part) const {
        Values measure(std::size_t(rows * rows));
        const Read networks[] = {{target_forward[0], width}, {target_forward[1], width}};
        part.target<double>(networks, {target_backward, width}, {measure, rows});
        return measure;
    }
    /// Its gradients by F_1, F_2 and B in `by`.
    critic::ForwardBackward::Loss loss(const critic::ForwardBackward& part, const Values& measure, Values (&by)[3]) {
        backend::Host host{.grain = 2};
        for (Values& each : by) each.assign(backward.size(), 7.0);
        const Read networks[] = {{forward[0], width}, {forward[1], width}};
        const Write gradients[] = {{by[0], width}, {by[1], width}};
        return part.loss<double>(host, networks, {backward, width}, {measure, rows}, ended, gradients, {by[2], width});
    }
    double at(const Values& f, const Values& b, std::int64_t i, std::int64_t j) const {
        double sum = 0;
        for (std::int64_t c = 0; c < width; ++c) sum += f[std::size_t(i * width + c)] * b[std::size_t(j * width + c)];
        return sum;
    }
};

RC_GTEST_PROP(ForwardBackward, IsThePlainFormulaWithTheGradientsItSays, ()) {
    Draw draw = any_draw();
    Model model(draw, draw.whole(1, 6), draw.whole(1, 4));
    critic::ForwardBackward part{0.9, draw.real(0, 2)};
    Values measure = model.target(part), by[3], unused[3];
    auto found = model.loss(part, measure, by);
    double off = 0, diagonal = 0, orthonormal = 0, rows = double(model.rows), pairs = std::max(1.0, rows * (rows - 1));
    for (std::int64_t i = 0; i < model.rows; ++i)
        for (std::int64_t j = 0; j < model.rows; ++j) {
            double least = std::min(model.at(model.target_forward[0], model.target_backward, i, j),
                                    model.at(model.target_forward[1], model.target_backward, i, j));
            RC_ASSERT(close(measure[std::size_t(i * model.rows + j)], least));
            double discount = model.ended[std::size_t(i)] != 0 ? 0.0 : 0.9;
            double together = model.at(model.backward, model.backward, i, j);
            for (const Values& f : model.forward) {
                double own = model.at(f, model.backward, i, j);
                if (i == j)
                    diagonal -= own / rows;
                else
                    off += 0.5 * std::pow(own - discount * least, 2) / pairs;
            }
            orthonormal += part.orthonormality * (i == j ? -2 * together / rows : together * together / pairs);
        }
    RC_ASSERT(close(found.off_diagonal, off));
    RC_ASSERT(close(found.diagonal, diagonal));
    RC_ASSERT(close(found.orthonormal, orthonormal));
    Values* parameters[] = {&model.forward[0], &model.forward[1], &model.backward};
    for (std::size_t k = 0; k < 3; ++k)
        expect_the_gradient(*parameters[k], [&](const Values& x, Values& gradient) {
            Values before = *parameters[k];
            *parameters[k] = x;
            double loss = model.loss(part, measure, unused).total();
            gradient = unused[k];
            *parameters[k] = before;
            return loss;
        });
}

TEST(ForwardBackward, OneRowNoRowAndWhatComesBehindAnEnd) {
    Draw draw(1);
    critic::ForwardBackward part;
    Values by[3];
    Model one(draw, 1, 3), none(draw, 0, 3);
    auto single = one.loss(part, one.target(part), by);
    EXPECT_EQ(single.off_diagonal, 0.0);
    EXPECT_NEAR(single.orthonormal, -2 * one.at(one.backward, one.backward, 0, 0), 1e-12);
    for (double each : by[0]) EXPECT_TRUE(std::isfinite(each));
    EXPECT_EQ(none.loss(part, {}, by).total(), 0.0);
    Model model(draw, 4, 2);
    model.ended = {0, 1, 0, 0};
    Values measure = model.target(part), spoilt = measure;
    for (std::size_t j = 4; j < 8; ++j) spoilt[j] = not_a_number;
    Values spoilt_by[3];
    EXPECT_EQ(model.loss(part, measure, by).total(), model.loss(part, spoilt, spoilt_by).total());
    EXPECT_EQ(by[2], spoilt_by[2]);
    EXPECT_THROW(model.loss(part, Values(3), by), Error);
}

RC_GTEST_PROP(ForwardBackward, ThePolicyClimbsTheLeastNetwork, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    std::int64_t rows = draw.whole(1, 6), width = draw.whole(1, 4);
    Values first = numbers(draw, rows * width), second = numbers(draw, rows * width),
           task = numbers(draw, rows * width);
    Values by[2] = {first, second};
    auto loss = [&](const Values& x, Values& gradient, std::size_t which) {
        const Values& f = which == 0 ? x : first;
        const Values& g = which == 1 ? x : second;
        const Read networks[] = {{f, width}, {g, width}};
        const Write gradients[] = {{by[0], width}, {by[1], width}};
        double value = critic::ForwardBackward{}.policy_loss<double>(host, networks, {task, width}, gradients);
        gradient = by[which];
        return value;
    };
    for (std::size_t which : {0u, 1u})
        expect_the_gradient(which == 0 ? first : second,
                            [&](const Values& x, Values& gradient) { return loss(x, gradient, which); });
}

RC_GTEST_PROP(ConservativePenalties, TheGradientsAreTheFiniteDifferences, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    std::int64_t rows = draw.whole(1, 4), width = draw.whole(1, 3), candidates = draw.whole(1, 4);
    Values samples = numbers(draw, candidates * rows * width), forward = numbers(draw, rows * width),
           other = numbers(draw, rows * width);
    Values by_samples = samples, by_forward = forward, by_other = other;
    auto values = [&] {
        return critic::conservative_values<double>(host, {samples, width}, {forward, width}, {other, width},
                                                   {by_samples, width}, {by_forward, width});
    };
    auto measures = [&] {
        return critic::conservative_measures<double>(host, {samples, width}, {forward, width}, {other, width},
                                                     {by_samples, width}, {by_forward, width}, {by_other, width});
    };
    auto check = [&](Values& input, Values& by, auto&& penalty) {
        expect_the_gradient(input, [&](const Values& x, Values& gradient) {
            Values before = input;
            input = x;
            double value = penalty();
            gradient = by;
            input = before;
            return value;
        });
    };
    check(samples, by_samples, values), check(forward, by_forward, values);
    check(samples, by_samples, measures), check(forward, by_forward, measures), check(other, by_other, measures);
    // One candidate: the sample less the data. Twice every candidate: ln 2 more.
    double once = values(), once_of_measures = measures();
    if (candidates == 1) {
        double plain = 0;
        for (std::size_t c = 0; c < forward.size(); ++c) plain += (samples[c] - forward[c]) * other[c] / double(rows);
        RC_ASSERT(close(once, plain));
    }
    samples.insert(samples.end(), samples.begin(), samples.end());
    by_samples = samples;
    RC_ASSERT(close(values(), once + std::log(2.0)));
    RC_ASSERT(close(measures(), once_of_measures + std::log(2.0)));
}

TEST(ConservativePenalties, ThousandsDoNotOverflow) {
    backend::Host host;
    Values samples{5000, 4000}, forward{-3000}, task{1}, by_samples(2), by_forward(1), by_task(1);
    EXPECT_EQ(critic::conservative_values<double>(host, {samples, 1}, {forward, 1}, {task, 1}, {by_samples, 1},
                                                  {by_forward, 1}),
              8000.0);
    EXPECT_EQ(by_samples, (Values{1, 0}));
    EXPECT_EQ(critic::conservative_measures<double>(host, {samples, 1}, {forward, 1}, {task, 1}, {by_samples, 1},
                                                    {by_forward, 1}, {by_task, 1}),
              8000.0);
    EXPECT_EQ(by_task, (Values{8000}));
    EXPECT_THROW(critic::conservative_values<double>(host, {{}, 1}, {forward, 1}, {task, 1}, {{}, 1}, {by_forward, 1}),
                 Error);
    EXPECT_EQ(critic::conservative_measures<double>(host, {{}, 1}, {{}, 1}, {{}, 1}, {{}, 1}, {{}, 1}, {{}, 1}), 0.0);
}

TEST(TunedWeight, GrowsWhileThePenaltyIsAboveItsTarget) {
    regularizer::TunedWeight part{.target = 2, .largest = 3, .step = {.learning_rate = 0.1}};
    regularizer::TunedWeight::State above, below, at;
    for (int i = 0; i < 5; ++i) {
        double before = part.weight(above);
        EXPECT_GT(part.tune(above, 2.5), before);
        before = part.weight(below);
        EXPECT_LT(part.tune(below, 1.5), before);
        EXPECT_EQ(part.tune(at, 2.0), 1.0);
    }
    for (int i = 0; i < 100; ++i) part.tune(above, 2.5);
    EXPECT_EQ(part.weight(above), 3.0);
    double settled = above.log_weight;  // what was in motion has come to rest
    for (int i = 0; i < 100; ++i) part.tune(above, 2.5);
    EXPECT_NEAR(above.log_weight, settled, 0.01);
    regularizer::TunedWeight::State huge{1e4, {}}, held = huge;
    EXPECT_EQ(part.weight(huge), 3.0);
    EXPECT_EQ(part.slope(huge, 1e9), 0.0);
    part.tune(huge, 1e9);
    EXPECT_EQ(huge.log_weight, held.log_weight);
    // The slope is that of the loss.
    regularizer::TunedWeight::State low{0.3 - 1e-6, {}}, high{0.3 + 1e-6, {}}, middle{0.3, {}};
    EXPECT_NEAR((part.loss(high, 7) - part.loss(low, 7)) / 2e-6, part.slope(middle, 7), 1e-6);
}

RC_GTEST_PROP(TaskVectors, LieOnTheSphereAndAreFunctionsOfTheSeed, ()) {
    Draw draw = any_draw();
    backend::Host host;
    std::int64_t rows = draw.whole(1, 20), width = draw.whole(1, 6);
    Values backward = numbers(draw, rows * width), task(backward.size()), again(backward.size());
    auto seed = std::uint64_t(draw.whole(0, 1000));
    roars::Run run{host, Random(seed).at(3)}, same{host, Random(seed).at(3)};
    sampler::TaskVectors part{draw.real(0, 1)};
    part.draw(run, Read{backward, width}, Write{task, width});
    part.draw(same, Read{backward, width}, Write{again, width});
    RC_ASSERT(task == again);
    for (std::int64_t i = 0; i < rows; ++i) RC_ASSERT(close(norm(Read{task, width}[i]), std::sqrt(double(width))));
    // Always mixed: every row is one of B's, each once.
    sampler::TaskVectors{1.0}.draw(run, Read{backward, width}, Write{task, width});
    std::vector<Values> drawn, given;
    for (std::int64_t i = 0; i < rows; ++i) {
        auto z = Read{task, width}[i];
        drawn.emplace_back(z.begin(), z.end());
        given.push_back(reward::task_of_goal(Read{backward, width}[i]));
    }
    std::sort(drawn.begin(), drawn.end()), std::sort(given.begin(), given.end());
    RC_ASSERT(drawn == given);
}

TEST(TaskVectors, EdgesAndErrors) {
    backend::Host host;
    Values noise{0, 0, 3, 4}, backward{0, 0, 1e-20, 0}, task(4);
    std::vector<std::int64_t> order{1, 0}, wrong{0, 2};
    auto mix = [&](double ratio, const Values& uniform, const std::vector<std::int64_t>& permutation) {
        sampler::TaskVectors{ratio}.mix<double>(host, {noise, 2}, {backward, 2}, uniform, permutation, {task, 2});
    };
    mix(0.5, {0.5, 0.9}, order);  // strictly below
    EXPECT_EQ(task[0], 0.0);
    EXPECT_NEAR(task[2], std::sqrt(2.0) * 0.6, 1e-15);
    mix(0.5, {0.4, 0.4}, order);
    EXPECT_NEAR(task[0], std::sqrt(2.0) * 1e-8, 1e-20) << "the norm has a floor";
    EXPECT_EQ(task[2], 0.0);
    EXPECT_THROW(mix(0.5, {0.4, 0.4}, wrong), Error);
    EXPECT_THROW(mix(0.5, {0.4}, order), Error);
    Values huge{1e300, -1e300}, on_sphere(2);
    to_sphere(std::span<const double>(huge), std::span(on_sphere));
    EXPECT_NEAR(on_sphere[0], 1.0, 1e-12);
    EXPECT_NEAR(on_sphere[1], -1.0, 1e-12);
}

RC_GTEST_PROP(TaskInference, IgnoresTheUnitsOfTheRewardAndFindsAGoal, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    std::int64_t count = draw.whole(1, 20), width = draw.whole(1, 5);
    Values backward = numbers(draw, count * width), reward = numbers(draw, count);
    auto task = reward::task_of_rewards<double>(host, {backward, width}, reward);
    RC_ASSERT(close(norm(task), std::sqrt(double(width))));
    Values scaled = reward;
    for (double& each : scaled) each *= 1000;
    auto same = reward::task_of_rewards<double>(host, {backward, width}, scaled);
    for (std::size_t j = 0; j < task.size(); ++j) RC_ASSERT(close(same[j], task[j]));
    // A reward in one state only is that state as a goal.
    Values one(reward.size());
    std::int64_t goal = draw.whole(0, count - 1);
    one[std::size_t(goal)] = 2.5;
    auto there = reward::task_of_rewards<double>(host, {backward, width}, one);
    auto named = reward::task_of_goal(Read{backward, width}[goal]);
    for (std::size_t j = 0; j < task.size(); ++j) RC_ASSERT(close(there[j], named[j]));
}

TEST(TaskInference, WithoutARewardTheLowestAction) {
    backend::Host host;
    Values backward{1, 2, 3, 4}, forward{5, 6, 7, 8, 9, 10}, q(3), share(3);
    auto task = reward::task_of_rewards<double>(host, {backward, 2}, Values{0, 0});
    EXPECT_EQ(task, (Values{0, 0}));
    const Read networks[] = {{forward, 2}};
    critic::task_values<double>(networks, task, q);
    EXPECT_EQ(q, (Values{0, 0, 0}));
    EXPECT_EQ(critic::greedy_action(std::span(q)), 0);
    EXPECT_EQ(reward::task_of_rewards<double>(host, {{}, 2}, {}), (Values{0, 0}));
    EXPECT_THROW(reward::task_of_rewards<double>(host, {backward, 2}, Values{1}), Error);
    // The least of the networks, element by element.
    Values other{9, 9, -9, -9, 0, 0};
    const Read both[] = {{forward, 2}, {other, 2}};
    critic::task_values<double>(both, Values{1, 1}, q);
    EXPECT_EQ(q, (Values{11, -18, 0}));
    critic::SoftChoice{0.0}(std::span<const double>(q), std::span(share));
    EXPECT_EQ(share, (Values{1, 0, 0}));
    critic::SoftChoice{1e-3}(std::span<const double>(Values{1e6, 0, 1e6}), std::span(share));
    EXPECT_EQ(share, (Values{0.5, 0, 0.5}));
    critic::SoftChoice{1e9}(std::span<const double>(q), std::span(share));
    EXPECT_NEAR(share[1], 1.0 / 3, 1e-6);
}

RC_GTEST_PROP(Contexts, HoldTheLastStepsOfTheirOwnEpisode, ()) {
    Draw draw = any_draw();
    backend::Host host = small_grain(draw);
    auto episodes = draw.offsets(4, 8);
    std::int64_t length = draw.whole(1, 10), steps = episodes.back();
    auto count = static_cast<std::size_t>(steps), room = static_cast<std::size_t>(3 * length * steps);
    Values observation(2 * count), action(count), by_repeat(room), by_zero(room);
    std::iota(observation.begin(), observation.end(), 1.0);
    for (std::size_t t = 0; t < action.size(); ++t) action[t] = -1.0 - double(t);
    sampler::Contexts<>{length}.fill<double>(host, episodes, {observation, 2}, {action, 1}, {by_repeat, 3 * length});
    sampler::Contexts<sampler::padding::Zero>{length}.fill<double>(host, episodes, {observation, 2}, {action, 1},
                                                                   {by_zero, 3 * length});
    for (std::size_t e = 0; e + 1 < episodes.size(); ++e)
        for (std::int64_t t = episodes[e]; t < episodes[e + 1]; ++t)
            for (std::int64_t back = 0; back < length; ++back) {
                std::int64_t from = t - back, cell = t * 3 * length + 3 * (length - 1 - back);
                bool there = from >= episodes[e];
                std::int64_t held = std::max(from, episodes[e]);
                RC_ASSERT(by_repeat[std::size_t(cell)] == observation[std::size_t(2 * held)]);
                RC_ASSERT(by_repeat[std::size_t(cell + 2)] == action[std::size_t(held)]);
                RC_ASSERT(by_zero[std::size_t(cell + 1)] == (there ? observation[std::size_t(2 * held + 1)] : 0.0));
                RC_ASSERT(by_zero[std::size_t(cell + 2)] == (there ? action[std::size_t(held)] : 0.0));
            }
}
TEST(Contexts, Errors) {
    backend::Host host;
    const std::vector<std::int64_t> episodes{0, 2};
    Values observation(2), action(2), context(4);
    auto fill = [&](std::int64_t length, std::int64_t width) {
        sampler::Contexts<>{length}.fill<double>(host, episodes, {observation, 1}, {action, 1}, {context, width});
    };
    EXPECT_NO_THROW(fill(1, 2));
    EXPECT_THROW(fill(0, 2), Error);
    EXPECT_THROW(fill(2, 2), Error);
    action.pop_back();
    EXPECT_THROW(fill(1, 2), Error);
}

RC_GTEST_PROP(Sphere, TheGradientIsTheFiniteDifferenceAndHasNoPartAlongTheVector, ()) {
    Draw draw = any_draw();
    std::int64_t width = draw.whole(1, 5);
    Values x = numbers(draw, width), slope = numbers(draw, width), by(x.size());
    x[0] += 2.0;  // away from 0
    expect_the_gradient(x, [&](const Values& at, Values& gradient) {
        Values y(at.size());
        to_sphere(std::span<const double>(at), std::span(y));
        to_sphere_backward(std::span<const double>(at), std::span<const double>(slope), std::span(gradient));
        return std::inner_product(y.begin(), y.end(), slope.begin(), 0.0);
    });
    to_sphere_backward(std::span<const double>(x), std::span<const double>(slope), std::span(by));
    RC_ASSERT(std::abs(std::inner_product(x.begin(), x.end(), by.begin(), 0.0)) <= 1e-9);
    Values zero(x.size());
    to_sphere_backward(std::span<const double>(zero), std::span<const double>(slope), std::span(by));
    RC_ASSERT(by == zero);
}

/// A corridor of four cells; action 0 goes left, action 1 right, 2 stays.
using Steps = Batch<double, columns<col::state, col::token, col::next_state, col::terminated, col::task>>;
std::int64_t step_in_corridor(std::int64_t cell, std::int64_t action) {
    return std::clamp<std::int64_t>(cell + (action == 0 ? -1 : action == 1 ? 1 : 0), 0, 3);
}
Steps corridor(Draw& draw, std::int64_t rows) {
    Steps batch{Offsets(std::vector<std::int64_t>{0, rows})};
    batch.set_width(col::state{}, 4), batch.set_width(col::next_state{}, 4), batch.set_width(col::task{}, 4);
    for (std::int64_t i = 0; i < rows; ++i) {
        std::int64_t cell = draw.whole(0, 3), action = draw.whole(0, 2);
        batch.row(col::state{}, i)[std::size_t(cell)] = 1;
        batch.row(col::next_state{}, i)[std::size_t(step_in_corridor(cell, action))] = 1;
        batch[col::token{}][std::size_t(i)] = std::int32_t(action);
    }
    return batch;
}
template <class Doubt>
critic::ForwardBackwardModel<Doubt> small_model() {
    return {.dimensions = 4,
            .forward = {.width = 32, .layers = 1},
            .backward = {.layers = 0},
            .loss = {.gamma = 0.8},
            .acts = {.count = 3},
            .step = {.learning_rate = 3e-3},
            .polyak = {.tau = 0.05}};
}
template <class Doubt>
auto learn_corridor(std::uint32_t iterations) {
    Draw draw(11);
    backend::Host host;
    auto model = small_model<Doubt>();
    critic::ForwardBackwardState<double> state;
    for (std::uint32_t i = 0; i < iterations; ++i) {
        roars::Run run{host, Random(3).at(i)};
        auto steps = corridor(draw, 32);
        model.draw(run, state, std::as_const(steps)[col::state{}], 4, steps[col::task{}]);
        model.learn(run, state, steps);
    }
    return state;
}
template <class Doubt>
void expect_every_goal_is_reached() {
    auto model = small_model<Doubt>();
    auto state = learn_corridor<Doubt>(800);
    Values cells(16), q(12);
    for (std::size_t c = 0; c < 4; ++c) cells[5 * c] = 1;
    auto said = model.template representations<double>(state, 3, Read{cells, 4});
    const Values all(said.values.begin(), said.values.end());
    for (std::int64_t goal = 0; goal < 4; ++goal) {
        auto task = reward::task_of_goal(Read{all, 4}[goal]);
        model.template values<double>(state, 3, Read{cells, 4}, task, Write{q, 3});
        for (std::int64_t start = 0; start < 4; ++start) {
            std::int64_t at = start;
            for (int step = 0; step < 4 && at != goal; ++step)
                at = step_in_corridor(at, critic::greedy_action(Write{q, 3}[at]));
            EXPECT_EQ(at, goal) << "from " << start;
        }
    }
}
TEST(ForwardBackwardModel, ReachesGoalsThatItWasNeverTold) {
    expect_every_goal_is_reached<critic::doubt::None>();
    expect_every_goal_is_reached<critic::doubt::OfValues>();
}
TEST(ForwardBackwardModel, IsAFunctionOfTheSeedAndDoubtChangesIt) {
    auto once = learn_corridor<critic::doubt::None>(5), again = learn_corridor<critic::doubt::None>(5);
    EXPECT_EQ(once.forward.online, again.forward.online);
    EXPECT_EQ(once.backward.online, again.backward.online);
    auto of_measures = learn_corridor<critic::doubt::OfMeasures>(5);
    EXPECT_NE(once.forward.online, of_measures.forward.online);
    EXPECT_NE(once.backward.online, of_measures.backward.online);
    EXPECT_GT(of_measures.loss, once.loss) << "a penalty of ln 3 and more is added";
    Draw draw(1);
    backend::Host host;
    roars::Run run{host};
    auto wrong = corridor(draw, 2);
    wrong[col::token{}][1] = 3;
    critic::ForwardBackwardState<double> state;
    EXPECT_THROW(small_model<critic::doubt::None>().learn(run, state, wrong), Error);
    EXPECT_NO_THROW(small_model<critic::doubt::None>().learn(run, state, Steps()));
}

/// Rows of a model in double, tasks on the sphere; the policy says any actions.
template <class Acts>
struct AnyRows {
    using Model = critic::ForwardBackwardModel<critic::doubt::OfMeasures, Acts>;
    using BatchType = Batch<double, unite_t<columns<col::mask>, needs_of<Model>, gives_of<Model>>>;
    Model model{
        .dimensions = 3, .members = 2, .forward = {.width = 8, .layers = 1}, .backward = {.width = 8, .layers = 1}};
    typename Model::template StateOf<double> own;
    BatchType batch;

    explicit AnyRows(Draw& draw, std::int64_t rows = 5) {
        const std::vector<std::int64_t> whole{0, rows};
        batch.reshape(whole);
        auto fill = [&]<class Column>(Column column, std::int64_t width) {
            if constexpr (BatchType::template has<Column>) {
                batch.set_width(column, width);
                for (auto& each : batch[column]) each = draw.real(-1, 1);
            }
        };
        fill(col::state{}, 2), fill(col::next_state{}, 2), fill(col::task{}, 3);
        fill(col::action{}, 2), fill(col::policy_action{}, 2), fill(col::next_policy_action{}, 2);
        for (double& each : batch[col::terminated{}]) each = draw.chance(0.3);
        if constexpr (BatchType::template has<col::token>)
            for (auto& each : batch[col::token{}]) each = std::int32_t(draw.whole(0, 1));
    }
    void train(int steps) {
        backend::Host host;
        for (int i = 0; i < steps; ++i) {
            roars::Run run{host, Random(1).at(std::uint32_t(i))};
            model.learn(run, own, batch);
        }
    }
};

TEST(ContinuousForwardBackward, TheSlopeIsThatOfTheLeastValue) {
    Draw draw(3);
    AnyRows<critic::acts::Continuous> rows(draw);
    rows.train(1);
    backend::Host host;
    roars::Run run{host, Random(1)};
    auto values = [&] {
        rows.model.estimate(run, rows.own, rows.batch);
        return Values(rows.batch[col::q{}].begin(), rows.batch[col::q{}].end());
    };
    values();
    const Values slope(rows.batch[col::q_gradient{}].begin(), rows.batch[col::q_gradient{}].end());
    for (std::size_t i = 0; i < slope.size(); ++i) {
        double& at = rows.batch[col::policy_action{}][i];
        const double before = at, step = 1e-6;
        at = before + step;
        const double above = values()[i / 2];
        at = before - step;
        const double below = values()[i / 2];
        at = before;
        EXPECT_NEAR(slope[i], (above - below) / (2 * step), 1e-7) << i;
    }
}

TEST(ContinuousForwardBackward, CandidatesStandBehindTheRowsOfTheData) {
    Draw draw(5);
    AnyRows<critic::acts::Continuous> rows(draw, 4);
    auto& acts = rows.model.acts;
    acts.uniform = 1, acts.policy = 2, acts.next_policy = 1, acts.data = 1;
    acts.rule.sigma = 0;  // the policy's own actions
    backend::Host host;
    roars::Run run{host, Random(1)};
    const auto& batch = std::as_const(rows.batch);
    const Read shown{acts.rows(run, rows.own, batch, true), 2 + 2 + 3};
    ASSERT_EQ(shown.count(), 4 * (1 + acts.candidates()));
    using Given = std::span<const double>;
    auto expect_rows = [&](std::int64_t block, Given states, Given actions) {
        for (std::int64_t i = 0; i < 4; ++i) {
            auto row = shown[4 * block + i];
            for (std::int64_t j = 0; j < 2; ++j) {
                EXPECT_EQ(row[std::size_t(j)], states[std::size_t(2 * i + j)]) << block << " " << i;
                if (!actions.empty()) EXPECT_EQ(row[std::size_t(2 + j)], actions[std::size_t(2 * i + j)]) << block;
            }
            for (std::size_t j = 0; j < 3; ++j) EXPECT_EQ(row[4 + j], batch[col::task{}][std::size_t(3 * i) + j]);
        }
    };
    expect_rows(0, batch[col::state{}], batch[col::action{}]);
    expect_rows(1, batch[col::state{}], {});
    expect_rows(2, batch[col::state{}], batch[col::policy_action{}]);
    expect_rows(3, batch[col::state{}], batch[col::policy_action{}]);
    expect_rows(4, batch[col::next_state{}], batch[col::next_policy_action{}]);
    expect_rows(5, batch[col::state{}], batch[col::action{}]);
    EXPECT_EQ(acts.rows(run, rows.own, batch, false).size(), std::size_t(4 * 7));
}

/// Of one step: the loss that `learn` measures is that of networks asked one by one.
template <class Acts>
double measured_loss(std::uint64_t seed, double weight) {
    Draw draw(seed);
    AnyRows<Acts> rows(draw);
    rows.model.doubt.weight = weight;
    rows.train(1);
    return rows.own.loss;
}
TEST(ContinuousForwardBackward, DoubtWeighsInTheLossAndIsLearntAway) {
    const double none = measured_loss<critic::acts::Continuous>(7, 0),
                 one = measured_loss<critic::acts::Continuous>(7, 1),
                 three = measured_loss<critic::acts::Continuous>(7, 3);
    EXPECT_GT(one, none) << "log-sum-exp over 12 candidates, two of them the data's, is above the data's measure";
    EXPECT_NEAR(three - none, 3 * (one - none), 1e-9);
    // Finite actions as Finite has them are the same candidates, in every order of magnitude of the loss.
    EXPECT_GT(measured_loss<critic::acts::Finite>(7, 1), measured_loss<critic::acts::Finite>(7, 0));
    auto penalty_after = [](double weight) {
        Draw draw(9);
        AnyRows<critic::acts::Continuous> rows(draw);
        rows.model.step.learning_rate = 3e-3;
        rows.model.doubt.weight = weight;
        rows.train(300);
        auto before = rows.own;
        rows.model.doubt.weight = 1, rows.train(1);
        const double with = rows.own.loss;
        rows.own = before, rows.model.doubt.weight = 0, rows.train(1);
        return with - rows.own.loss;
    };
    EXPECT_LT(penalty_after(1), penalty_after(0) - 0.1);
}

RC_GTEST_PROP(Past, IsTheContextOfTheStepAsItIsDone, ()) {
    Draw draw = any_draw();
    backend::Host host;
    const std::int64_t length = draw.whole(1, 5), first = draw.whole(1, 6), steps = first + draw.whole(1, 6);
    const std::vector<std::int64_t> episodes{0, first, steps};
    Values observation = numbers(draw, 2 * steps), action = numbers(draw, steps),
           context(std::size_t(steps * length * 3));
    auto check = [&](auto padding, bool repeats) {
        sampler::Contexts<decltype(padding)>{length}.template fill<double>(host, episodes, {observation, 2},
                                                                           {action, 1}, {context, length * 3});
        sampler::Past<double> past(length, 2, 1, repeats);
        for (std::int64_t t = 0; t < steps; ++t) {
            const auto seen = std::span<const double>(observation).subspan(std::size_t(2 * t), 2);
            t == 0 || t == first ? past.begin(seen) : past.see(seen);
            RC_ASSERT(std::ranges::equal(past.observation(), seen));
            RC_ASSERT(past.context().back() == 0.0);  // not done yet
            past.act(std::span<const double>(action).subspan(std::size_t(t), 1));
            RC_ASSERT(std::ranges::equal(past.context(), Read{context, length * 3}[t]));
        }
    };
    check(sampler::padding::Repeat{}, true);
    check(sampler::padding::Zero{}, false);
}

}  // namespace
}  // namespace roars::zero_shot_test
