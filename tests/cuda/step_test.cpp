#include "../../cuda/tests/emulated.hpp"

#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "roars/cuda/step.hpp"
#include "roars/optimizer/step/recipe.hpp"

namespace roars::gpu {
namespace {

/// Five steps, the fourth with a gradient that is not finite where `breaks`.
template <class Rule, class Real>
void expect_the_hosts(const Rule& rule, bool breaks, double tolerance) {
    for (std::size_t size : {0, 1, 4, 5, 4099}) {
        std::mt19937 engine(2);
        std::normal_distribution<double> normal;
        std::vector<Real> host(size), gradient(size);
        for (auto& x : host) x = Real(normal(engine));
        Emulated device(Order::shuffled);
        Buffer<Real, Emulated> there(device, std::span<const Real>(host)), g(device, std::int64_t(size));
        typename Rule::template StateOf<Real> state{};
        Stepper<Rule, Real, Emulated> stepper(device, rule, std::int64_t(size));
        for (int i = 0; i < 5; ++i) {
            for (auto& x : gradient) x = Real(normal(engine));
            if (breaks && i == 3 && size > 0) gradient.back() = Real(INFINITY);
            g.upload(gradient);
            rule.step(state, std::span(host), std::span(gradient), 0.5);
            stepper.step(there.data(), g.data(), 0.5);
            auto back = there.download();
            for (std::size_t k = 0; k < size; ++k) ASSERT_NEAR(back[k], host[k], tolerance) << i << ' ' << k;
        }
    }
}

TEST(StepRulesOnDevice, AreTheHosts) {
    expect_the_hosts<step::AdamW, double>({.weight_decay = 0.1}, false, 1e-14);
    expect_the_hosts<step::AdamW, float>({.weight_decay = 0.1}, false, 1e-6);
    expect_the_hosts<step::Sgd, double>({.weight_decay = 0.1}, false, 1e-14);
    expect_the_hosts<step::Sgd, double>({.momentum = 0.9, .weight_decay = 0.1}, false, 1e-14);
    expect_the_hosts<step::Lion, double>({.weight_decay = 0.1}, false, 1e-14);
    expect_the_hosts<step::Clipped<step::AdamW>, double>({.max_norm = 0.5}, true, 1e-14);
    expect_the_hosts<step::SkipNonFinite<step::Sgd>, double>({}, true, 1e-14);
    expect_the_hosts<step::Averaged<step::Clipped<step::Sgd>>, double>({}, true, 1e-14);
    expect_the_hosts<step::Recipe, float>(step::recipe({}, 3), true, 1e-6);
}

TEST(StepRulesOnDevice, SayWhatTheyLeftOut) {
    Emulated device;
    float parameters[2] = {1, 2}, gradients[2] = {3, 4}, broken[2] = {0, NAN};
    Stepper<step::Clipped<step::Sgd>, float, Emulated> stepper(device, {}, 2);
    stepper.step(parameters, gradients);
    EXPECT_DOUBLE_EQ(stepper.norm(), 5.0);
    stepper.step(parameters, broken);
    EXPECT_EQ(stepper.skipped(), 1);
}

}  // namespace
}  // namespace roars::gpu
