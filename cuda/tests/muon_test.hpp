#include <memory>
#include <random>

#include "on_device.hpp"
#include "roars/cuda/linear.hpp"
#include "roars/cuda/step.hpp"

/// Muon, whose products come from the device's library.
namespace roars::gpu {
namespace {

template <class D>
struct MuonOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(MuonOnDevice, Devices);

/// Matrices that are wide, tall, square, a row and a column, with other parameters before, between and behind them.
const std::vector<step::MatrixPlace> places{{3, 4, 7}, {31, 9, 5}, {80, 6, 6}, {116, 1, 8}, {124, 8, 1}};

template <class D, class Rule>
void expect_the_hosts(const Rule& rule, bool breaks) {
    constexpr std::size_t size = 140;
    std::mt19937 engine(4);
    std::normal_distribution<double> normal;
    std::vector<float> host(size), gradient(size);
    for (auto& x : host) x = float(normal(engine));
    D device;
    Buffer<float, D> there(device, std::span<const float>(host)), g(device, std::int64_t(size));
    typename Rule::template StateOf<float> state{};
    step::set_matrices(state, std::span<const step::MatrixPlace>(places));
    auto stepper = std::make_unique<Stepper<Rule, float, D>>(device, rule, std::int64_t(size), places);
    for (int i = 0; i < 5; ++i) {
        auto saved = state;
        if (i % 2 == 1) stepper->save(saved);
        stepper = std::make_unique<Stepper<Rule, float, D>>(device, rule, std::int64_t(size), places);
        stepper->load(saved);
        for (auto& x : gradient) x = float(normal(engine));
        if (breaks && i == 3) gradient[5] = NAN;
        g.upload(gradient);
        rule.step(state, std::span(host), std::span(gradient), 0.5);
        stepper->step(there.data(), g.data(), 0.5);
        auto back = there.download();
        for (std::size_t k = 0; k < size; ++k) ASSERT_NEAR(back[k], host[k], 2e-6) << i << ' ' << k;
    }
}

TYPED_TEST(MuonOnDevice, IsTheHosts) {
    expect_the_hosts<TypeParam>(step::Muon<>{.weight_decay = 0.1}, false);
    expect_the_hosts<TypeParam>(step::Muon<>{.iterations = 2}, false);
    expect_the_hosts<TypeParam>(step::Muon<step::Sgd>{.iterations = 0}, false);
    expect_the_hosts<TypeParam>(step::Clipped<step::Muon<>>{.max_norm = 0.5}, true);
    expect_the_hosts<TypeParam>(step::Accumulated<step::Muon<step::Lion>>{.steps = 2}, false);
}

TYPED_TEST(MuonOnDevice, RefusesMatricesThatOverlap) {
    TypeParam device;
    const std::vector<step::MatrixPlace> overlap{{0, 2, 2}, {3, 2, 2}};
    using Muon = Stepper<step::Muon<>, float, TypeParam>;
    EXPECT_THROW(Muon(device, {}, 9, overlap), Error);
}

}  // namespace
}  // namespace roars::gpu
