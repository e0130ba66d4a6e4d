#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include "../../tests/train/small_text.hpp"
#include "on_device.hpp"
#include "roars/cuda/text_actor.hpp"
#include "roars/methods/dapo.hpp"
#include "roars/methods/disco.hpp"
#include "roars/methods/grpo.hpp"
#include "roars/methods/gspo.hpp"
#include "roars/methods/ppo.hpp"
#include "roars/methods/supervised.hpp"
#include "roars/train/checkpoint.hpp"
#include "roars/train/language_learner.hpp"
#include "roars/train/trainer.hpp"

namespace roars::gpu {
namespace {

template <class D>
struct TextActorOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(TextActorOnDevice, OneDevice);

using small_text::Task;

template <class Method, class Actor = train::TextActor>
using LearnerOf = train::LanguageLearner<Task, contains_v<col::value, typename Method::Inputs>, Actor>;

/// Training on the host, or, by nothing but other types, on a device.
template <class Method, class Actor>
struct Session {
    using Learner = LearnerOf<Method, Actor>;
    Learner learner;
    train::Trainer<Method, Learner> trainer;
    backend::Host host;

    Session(const Method& method, Actor actor)
        : learner(small_text::task(), small_text::policy, {.continuous_reward = true, .micro_tokens = 100}, 5,
                  std::move(actor)),
          trainer(method, learner) {}

    /// Some right answers, so that there is something to learn from rewards.
    void warm_start(int iterations) {
        auto method = methods::supervised;
        method.sampler.batch_size = 32;
        method.optimizer.step = step::recipe({.learning_rate = 1e-2});
        train::Trainer<methods::SupervisedLikelihood, Learner> supervised(method, learner);
        roars::Run run{host, Random(5)};
        for (int i = 0; i < iterations; ++i) supervised.iterate(run);
        learner.set_reference();
    }
    train::Record iterate(std::int64_t done) {
        roars::Run run{host, Random(5), Progress{done, 10}};
        return trainer.iterate(run);
    }
    Tensors checkpoint() const {
        Tensors file;
        learner.write(file);
        trainer.for_each_state(
            [&](std::string_view name, const auto& state) { train::write_state(file, state, std::string(name)); });
        train::write_state(file, learner.position, "position");
        return file;
    }
    void go_on_from(const Tensors& file) {
        learner.read(file);
        trainer.for_each_state(
            [&](std::string_view name, auto& state) { train::read_state(file, state, std::string(name)); });
        train::read_state(file, learner.position, "position");
    }
    std::vector<float> parameters() {
        Tensors file;
        learner.write(file);
        actor::Transformer<float> model(learner.policy().settings());
        model.parameters().read(file, "policy.");
        return {model.parameters().values().begin(), model.parameters().values().end()};
    }
};

template <class Method>
Method small(Method method) {
    method.sampler.prompts = 6;
    method.sampler.group_size = 4;
    method.optimizer.minibatches = 2;
    if constexpr (requires { method.optimizer.step.base.base.learning_rate; })
        method.optimizer.step.base.base.learning_rate = 3e-3;
    return method;
}

/// The same seed: the same answers and rewards, losses, metrics and parameters within what float allows.
template <class D, class Method>
void expect_the_hosts_training(const Method& method) {
    using There = TextActor<D, Exact>;
    D device;
    Session<Method, train::TextActor> host(method, {});
    Session<Method, There> there(method, There(device));
    host.warm_start(12);
    there.warm_start(12);
    auto start = host.parameters();
    for (int i = 0; i < 3; ++i) {
        auto expected = host.iterate(i), found = there.iterate(i);
        ASSERT_EQ(found.size(), expected.size());
        for (std::size_t k = 0; k < found.size(); ++k) {
            EXPECT_EQ(found[k].first, expected[k].first);
            EXPECT_NEAR(found[k].second, expected[k].second, 1e-4 * (1 + std::abs(expected[k].second)))
                << "iteration " << i << ", " << found[k].first;
            for (const char* exact : {"sequences", "tokens", "outcome"})
                if (found[k].first == exact) EXPECT_NEAR(found[k].second, expected[k].second, 1e-6) << exact;
        }
        auto here = host.trainer.batch()[col::token{}], on_device = there.trainer.batch()[col::token{}];
        ASSERT_TRUE(std::equal(here.begin(), here.end(), on_device.begin(), on_device.end())) << "iteration " << i;
    }
    auto here = host.parameters(), on_device = there.parameters();
    double moved = 0, apart = 0;
    for (std::size_t i = 0; i < here.size(); ++i) {
        moved += std::pow(double(here[i]) - double(start[i]), 2);
        apart += std::pow(double(here[i]) - double(on_device[i]), 2);
    }
    EXPECT_GT(moved, 0.0);
    EXPECT_LT(std::sqrt(apart), 2e-4 * std::sqrt(moved));
}
TYPED_TEST(TextActorOnDevice, TrainingIsTheHostsGrpo) { expect_the_hosts_training<TypeParam>(small(methods::grpo)); }
TYPED_TEST(TextActorOnDevice, TrainingIsTheHostsPpo) { expect_the_hosts_training<TypeParam>(small(methods::ppo)); }
TYPED_TEST(TextActorOnDevice, TrainingIsTheHostsGspo) { expect_the_hosts_training<TypeParam>(small(methods::gspo)); }
TYPED_TEST(TextActorOnDevice, TrainingIsTheHostsDapo) { expect_the_hosts_training<TypeParam>(small(methods::dapo)); }

/// Whose terms want sums over the whole minibatch before any gradient.
TYPED_TEST(TextActorOnDevice, TrainingIsTheHostsDisco) { expect_the_hosts_training<TypeParam>(small(methods::disco)); }

TYPED_TEST(TextActorOnDevice, GrpoLearns) {
    using There = TextActor<TypeParam>;
    TypeParam device;
    auto method = small(methods::grpo);
    method.sampler.prompts = 16;
    Session<methods::Grpo, There> session(method, There(device));
    session.warm_start(30);
    auto outcome = [&](int first, int count) {
        double sum = 0;
        for (int i = first; i < first + count; ++i)
            for (const auto& [name, value] : session.iterate(i))
                if (name == "outcome") sum += value / count;
        return sum;
    };
    double before = outcome(0, 5);
    outcome(5, 30);
    EXPECT_GT(outcome(35, 5), before + 0.1);
}

/// Rollouts, log-probabilities and steps again and again: no memory is taken once all have been there.
TYPED_TEST(TextActorOnDevice, ASteadyLoopOfTheLearnerAllocatesNothing) {
    using There = TextActor<TypeParam, Exact>;
    TypeParam device;
    Session<methods::Grpo, There> session(small(methods::grpo), There(device));
    session.iterate(0);
    auto batch = session.trainer.batch();
    const auto& algorithm = session.trainer.algorithm();
    auto steps = session.learner.steps(algorithm);
    roars::Run run{session.host, Random(3)};
    std::int64_t before = 0;
    for (int turn = 0; turn < 3; ++turn) {
        if constexpr (requires { device.allocations; }) before = device.allocations;
        session.learner.evaluate(run);
        session.learner.refresh(run, batch);
        auto result = session.learner.take_step(steps, algorithm, run, session.trainer.state, batch);
        EXPECT_TRUE(std::isfinite(result.loss()));
        if constexpr (requires { device.allocations; })
            if (turn > 0) EXPECT_EQ(device.allocations, before);
    }
}

/// A run that was torn is the whole one, bit for bit, and its checkpoint is the host's own.
TYPED_TEST(TextActorOnDevice, ARunGoesOnFromItsCheckpoint) {
    using There = TextActor<TypeParam, Exact>;
    TypeParam device;
    auto method = small(methods::grpo);
    method.optimizer.step.schedule.warmup_steps = 20;
    Session<methods::Grpo, There> whole(method, There(device)), torn(method, There(device));
    Session<methods::Grpo, train::TextActor> host(method, {});
    whole.warm_start(8);
    for (int i = 0; i < 2; ++i) whole.iterate(i);
    auto file = whole.checkpoint();
    torn.go_on_from(file);
    host.go_on_from(file);
    EXPECT_EQ(torn.parameters(), whole.parameters());
    auto start = whole.parameters();
    for (int i = 2; i < 4; ++i) {
        auto expected = whole.iterate(i);
        EXPECT_EQ(torn.iterate(i), expected);
        auto found = host.iterate(i);
        for (std::size_t k = 0; k < found.size(); ++k)
            EXPECT_NEAR(found[k].second, expected[k].second, 1e-4 * (1 + std::abs(expected[k].second)))
                << "iteration " << i << ", " << found[k].first;
    }
    EXPECT_NE(whole.parameters(), start);
    EXPECT_EQ(torn.parameters(), whole.parameters());
    auto one = whole.checkpoint(), other = torn.checkpoint();
    EXPECT_EQ(other.metadata, one.metadata);
    for (const char* moment : {"method.optimizer.base.base.first", "method.optimizer.base.base.second"}) {
        std::vector<float> here(start.size()), there(start.size());
        one.template get<float>(moment, {std::ssize(start)}, here);
        other.template get<float>(moment, {std::ssize(start)}, there);
        EXPECT_EQ(there, here) << moment;
    }
}

}  // namespace
}  // namespace roars::gpu
