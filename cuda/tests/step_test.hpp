#include <cmath>
#include <memory>
#include <random>

#include "on_device.hpp"
#include "roars/cuda/step.hpp"
#include "roars/optimizer/step/recipe.hpp"

namespace roars::gpu {
namespace {

template <class D>
struct StepRulesOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(StepRulesOnDevice, Devices);

/// Five steps, the fourth with a gradient that is not finite where `breaks`; each by a stepper of its own, which goes
/// on from the host's State or from that of the one before.
template <class D, class Rule, class Real>
void expect_the_hosts(const Rule& rule, bool breaks, double tolerance) {
    for (std::size_t size : {0, 1, 4, 5, 4099}) {
        std::mt19937 engine(2);
        std::normal_distribution<double> normal;
        std::vector<Real> host(size), gradient(size);
        for (auto& x : host) x = Real(normal(engine));
        D device;
        Buffer<Real, D> there(device, std::span<const Real>(host)), g(device, std::int64_t(size));
        typename Rule::template StateOf<Real> state{};
        auto stepper = std::make_unique<Stepper<Rule, Real, D>>(device, rule, std::int64_t(size));
        for (int i = 0; i < 5; ++i) {
            auto saved = state;
            if (i % 2 == 1) stepper->save(saved);
            stepper = std::make_unique<Stepper<Rule, Real, D>>(device, rule, std::int64_t(size));
            stepper->load(saved);
            for (auto& x : gradient) x = Real(normal(engine));
            if (breaks && i == 3 && size > 0) gradient.back() = Real(INFINITY);
            g.upload(gradient);
            rule.step(state, std::span(host), std::span(gradient), 0.5);
            stepper->step(there.data(), g.data(), 0.5);
            auto back = there.download();
            for (std::size_t k = 0; k < size; ++k) ASSERT_NEAR(back[k], host[k], tolerance) << i << ' ' << k;
        }
    }
}

TYPED_TEST(StepRulesOnDevice, AreTheHosts) {
    expect_the_hosts<TypeParam, step::AdamW, double>({.weight_decay = 0.1}, false, 1e-14);
    expect_the_hosts<TypeParam, step::AdamW, float>({.weight_decay = 0.1}, false, 1e-6);
    expect_the_hosts<TypeParam, step::Sgd, double>({.weight_decay = 0.1}, false, 1e-14);
    expect_the_hosts<TypeParam, step::Sgd, double>({.momentum = 0.9, .weight_decay = 0.1}, false, 1e-14);
    expect_the_hosts<TypeParam, step::Lion, double>({.weight_decay = 0.1}, false, 1e-14);
    expect_the_hosts<TypeParam, step::Clipped<step::AdamW>, double>({.max_norm = 0.5}, true, 1e-14);
    expect_the_hosts<TypeParam, step::SkipNonFinite<step::Sgd>, double>({}, true, 1e-14);
    expect_the_hosts<TypeParam, step::Averaged<step::Clipped<step::Sgd>>, double>({}, true, 1e-14);
    expect_the_hosts<TypeParam, step::Recipe, float>(step::recipe({}, 3), true, 1e-6);
}

TYPED_TEST(StepRulesOnDevice, AccumulatedAreTheHosts) {
    using step::Accumulated, step::Clipped;
    expect_the_hosts<TypeParam, Accumulated<step::AdamW>, double>({.steps = 2}, false, 1e-14);
    expect_the_hosts<TypeParam, Accumulated<step::AdamW>, double>({.steps = 0}, false, 1e-14);
    expect_the_hosts<TypeParam, Accumulated<Clipped<step::Sgd>>, double>({.base = {.max_norm = 0.5}, .steps = 2}, true,
                                                                         1e-14);
    expect_the_hosts<TypeParam, Accumulated<step::Recipe>, float>({step::recipe({}, 3), 2}, true, 1e-6);
    expect_the_hosts<TypeParam, Clipped<Accumulated<step::AdamW>>, double>({{.steps = 2}, 0.5}, true, 1e-14);
    expect_the_hosts<TypeParam, Clipped<Accumulated<Clipped<step::Lion>>>, double>({{.steps = 2}, 0.5}, true, 1e-14);
}

TYPED_TEST(StepRulesOnDevice, AccumulatedRefusesAScheduleThatItCannotCount) {
    TypeParam device;
    auto parameters = put(device, std::vector<float>{1, 2});
    Stepper<step::Clipped<step::Accumulated<step::Recipe>>, float, TypeParam> stepper(device, {}, 2);
    EXPECT_THROW(stepper.step(parameters.data(), parameters.data()), Error);
}

TYPED_TEST(StepRulesOnDevice, SayWhatTheyLeftOut) {
    TypeParam device;
    auto parameters = put(device, std::vector<float>{1, 2}), gradients = put(device, std::vector<float>{3, 4}),
         broken = put(device, std::vector<float>{0, NAN});
    Stepper<step::Clipped<step::Sgd>, float, TypeParam> stepper(device, {}, 2);
    stepper.step(parameters.data(), gradients.data());
    EXPECT_DOUBLE_EQ(stepper.norm(), 5.0);
    stepper.step(parameters.data(), broken.data());
    EXPECT_EQ(stepper.skipped(), 1);
}

}  // namespace
}  // namespace roars::gpu
