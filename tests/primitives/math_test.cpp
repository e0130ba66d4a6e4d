#include "roars/math.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "roars/simd.hpp"

namespace roars::math_test {
namespace {

/// How many numbers of type Real lie between `got` and the true value, which is known to long double's precision.
template <class Real>
double ulps(Real got, long double want) {
    auto rounded = static_cast<Real>(want);
    if (std::isnan(rounded)) return std::isnan(got) ? 0.0 : std::numeric_limits<double>::infinity();
    if (got == rounded) return 0.0;
    if (!std::isfinite(got) || !std::isfinite(rounded)) return std::numeric_limits<double>::infinity();
    Real size = std::abs(rounded);
    auto spacing = static_cast<long double>(std::nextafter(size, std::numeric_limits<Real>::infinity()) - size);
    return static_cast<double>(std::abs(static_cast<long double>(got) - want) / spacing);
}

template <class Real>
struct MathLanes : testing::Test {
    /// The worst error of f in lanes against the long double function, x drawn uniformly and spread over all lanes.
    template <class F, class Exact>
    static double worst(double low, double high, F f, Exact exact) {
        std::mt19937_64 random(7);
        std::uniform_real_distribution<Real> draw(static_cast<Real>(low), static_cast<Real>(high));
        using Vector = math::Lanes<Real>;
        constexpr int count = math::lanes<Vector>;
        std::array<Real, count> x, y;
        double worst = 0.0;
        for (int round = 0; round < 20000; ++round) {
            for (Real& value : x) value = draw(random);
            math::store(y.data(), f(math::load<Vector>(x.data())));
            for (int k = 0; k < count; ++k) worst = std::max(worst, ulps(y[k], exact(static_cast<long double>(x[k]))));
        }
        return worst;
    }
    template <class F>
    static Real one(F f, Real x) {
        return math::largest(f(math::Lanes<Real>(x)));
    }
};

using Reals = testing::Types<float, double>;
TYPED_TEST_SUITE(MathLanes, Reals);

#define LANES(function) [](auto lanes) { return math::function(lanes); }
#define EXACT(function) [](long double x) { return std::function(x); }

TYPED_TEST(MathLanes, ExpIsWithinTwoUlpOverTheWholeRange) {
    double top = std::log(static_cast<double>(std::numeric_limits<TypeParam>::max())) * 0.9999;
    double bottom = std::log(static_cast<double>(std::numeric_limits<TypeParam>::denorm_min()));
    EXPECT_LE(this->worst(-1, 1, LANES(exp), EXACT(exp)), 2.0);
    EXPECT_LE(this->worst(bottom, top, LANES(exp), EXACT(exp)), 2.0);
    EXPECT_LE(this->worst(-top - 2, -top + 2, LANES(exp), EXACT(exp)), 2.0);
}

TYPED_TEST(MathLanes, PowersOfTwoAreWithinThreeUlpOverTheWholeRange) {
    double top = std::numeric_limits<TypeParam>::max_exponent;
    double bottom = std::log2(static_cast<double>(std::numeric_limits<TypeParam>::denorm_min()));
    EXPECT_LE(this->worst(-1, 1, LANES(exp2), EXACT(exp2)), 3.0);
    EXPECT_LE(this->worst(bottom, top, LANES(exp2), EXACT(exp2)), 3.0);
    EXPECT_LE(this->worst(bottom - 2, bottom + 2, LANES(exp2), EXACT(exp2)), 3.0);
    for (TypeParam power : {TypeParam(-3), TypeParam(0), TypeParam(10)})
        EXPECT_EQ(this->one(LANES(exp2), power), std::exp2(power));
}

TYPED_TEST(MathLanes, OtherFunctionsAreAccurate) {
    EXPECT_LE(this->worst(-4, 4, LANES(expm1), EXACT(expm1)), 3.0);
    EXPECT_LE(this->worst(-1e-4, 1e-4, LANES(expm1), EXACT(expm1)), 2.0);
    EXPECT_LE(this->worst(0, 2, LANES(log), EXACT(log)), 2.0);
    EXPECT_LE(this->worst(0.99, 1.01, LANES(log), EXACT(log)), 2.0);
    EXPECT_LE(this->worst(1, 1e30, LANES(log), EXACT(log)), 2.0);
    EXPECT_LE(this->worst(-1, 3, LANES(log1p), EXACT(log1p)), 3.0);
    EXPECT_LE(this->worst(-1e-4, 1e-4, LANES(log1p), EXACT(log1p)), 2.0);
    EXPECT_LE(this->worst(-3, 3, LANES(tanh), EXACT(tanh)), 6.0);
    EXPECT_LE(this->worst(0, 9, LANES(sqrt), EXACT(sqrt)), 1.0);
    EXPECT_LE(this->worst(-30, 30, LANES(sigmoid), [](long double x) { return 1.0L / (1.0L + std::exp(-x)); }), 4.0);
    EXPECT_LE(this->worst(-30, 30, LANES(log_sigmoid), [](long double x) { return -std::log1p(std::exp(-x)); }), 6.0);
}

TYPED_TEST(MathLanes, AnglesOfAnySize) {
    for (double range : {1e-3, 0.5, 2.0, 7.0, 500.0, 8000.0, 1e6, 1e9}) {
        EXPECT_LE(this->worst(-range, range, LANES(sin), EXACT(sin)), 3.0) << range;
        EXPECT_LE(this->worst(-range, range, LANES(cos), EXACT(cos)), 3.0) << range;
    }
    constexpr TypeParam inf = std::numeric_limits<TypeParam>::infinity();
    EXPECT_TRUE(std::isnan(this->one(LANES(sin), inf)));
    EXPECT_TRUE(std::isnan(this->one(LANES(cos), std::numeric_limits<TypeParam>::quiet_NaN())));
    EXPECT_EQ(this->one(LANES(cos), 0), 1);
    EXPECT_EQ(this->one(LANES(sin), 0), 0);
    for (TypeParam x : {TypeParam(-1.5), TypeParam(-1), TypeParam(2.75)})
        EXPECT_EQ(this->one(LANES(floor), x), std::floor(x));
}

TYPED_TEST(MathLanes, ALaneDoesNotDependOnItsNeighbours) {
    using V = math::Lanes<TypeParam>;
    std::array<TypeParam, math::lanes<V>> x, together;
    for (TypeParam first : {TypeParam(0.3), TypeParam(70), TypeParam(2000)})
        for (TypeParam neighbour : {TypeParam(0), TypeParam(90), TypeParam(1e4), TypeParam(1e9)}) {
            x.fill(neighbour);
            x[0] = first;
            math::store(together.data(), math::sin(math::load<V>(x.data())));
            EXPECT_EQ(together[0], this->one(LANES(sin), first));
        }
}

TYPED_TEST(MathLanes, EndsOfTheRange) {
    using Real = TypeParam;
    constexpr Real huge = std::numeric_limits<Real>::infinity();
    constexpr Real denormal = std::numeric_limits<Real>::denorm_min(), normal = std::numeric_limits<Real>::min();
    auto exp = [this](Real x) { return this->one(LANES(exp), x); };
    EXPECT_EQ(exp(-huge), 0);
    EXPECT_EQ(exp(Real(-1e30)), 0);
    EXPECT_EQ(exp(huge), huge);
    EXPECT_EQ(exp(Real(1e30)), huge);
    EXPECT_EQ(exp(0), 1);
    EXPECT_TRUE(std::isnan(this->one(LANES(exp), std::numeric_limits<Real>::quiet_NaN())));
    // xsimd's own give inf and 0 here.
    Real last = std::log(std::numeric_limits<Real>::max()) * (1 - std::numeric_limits<Real>::epsilon());
    EXPECT_LE(ulps(exp(last), std::exp(static_cast<long double>(last))), 2.0);
    Real tiny = std::log(normal) - 3;
    EXPECT_GT(exp(tiny), 0);
    EXPECT_LE(ulps(exp(tiny), std::exp(static_cast<long double>(tiny))), 2.0);

    auto log = [this](Real x) { return this->one(LANES(log), x); };
    EXPECT_EQ(log(0), -huge);
    EXPECT_EQ(log(huge), huge);
    EXPECT_EQ(log(1), 0);
    EXPECT_TRUE(std::isnan(log(-1)));
    for (Real x : {denormal, 5 * denormal, normal / 3, normal}) EXPECT_LE(ulps(log(x), std::log((long double)x)), 2.0);

    EXPECT_EQ(this->one(LANES(log1p), -1), -huge);
    EXPECT_EQ(this->one(LANES(log1p), huge), huge);
    EXPECT_EQ(this->one(LANES(log1p), denormal), denormal);
    EXPECT_EQ(this->one(LANES(exp2), -huge), 0);
    EXPECT_EQ(this->one(LANES(exp2), huge), huge);
    EXPECT_EQ(this->one(LANES(expm1), -huge), -1);
    EXPECT_EQ(this->one(LANES(expm1), huge), huge);
    EXPECT_EQ(this->one(LANES(expm1), denormal), denormal);
    EXPECT_EQ(this->one(LANES(sigmoid), -huge), 0);
    EXPECT_EQ(this->one(LANES(sigmoid), huge), 1);
    EXPECT_EQ(this->one(LANES(log_sigmoid), Real(-1e30)), Real(-1e30));
    EXPECT_EQ(this->one(LANES(log_sigmoid), huge), 0);
    EXPECT_EQ(this->one(LANES(tanh), huge), 1);
    EXPECT_EQ(this->one(LANES(tanh), -huge), -1);
}

/// A formula over V that uses every kind of argument, as a surrogate would.
template <class V>
V clipped(const V& logp, const V& logp_old, const V& advantage) {
    V ratio = math::exp(logp - logp_old);
    V held = math::clamp(ratio, V(0.8), V(1.2));
    V chosen = math::min(ratio * advantage, held * advantage);
    return math::select(advantage > V(0) && !(ratio < V(0.1)), chosen, math::max(V(-3), math::abs(chosen)));
}

TYPED_TEST(MathLanes, AFormulaInLanesEqualsTheScalarOne) {
    using Real = TypeParam;
    using V = math::Lanes<Real>;
    std::mt19937 random(3);
    std::normal_distribution<Real> draw;
    std::array<Real, math::lanes<V>> a, b, c, result;
    for (int round = 0; round < 2000; ++round) {
        for (auto* values : {&a, &b, &c})
            for (Real& value : *values) value = draw(random);
        math::store(result.data(), clipped(math::load<V>(a.data()), math::load<V>(b.data()), math::load<V>(c.data())));
        for (std::size_t k = 0; k < a.size(); ++k) {
            Real scalar = clipped(a[k], b[k], c[k]);
            EXPECT_NEAR(result[k], scalar, 4 * std::numeric_limits<Real>::epsilon() * std::abs(scalar));
        }
    }
}

TYPED_TEST(MathLanes, SelectHidesNaN) {
    using Real = TypeParam;
    using V = math::Lanes<Real>;
    V hidden(std::numeric_limits<Real>::quiet_NaN());
    EXPECT_EQ(math::sum(math::select(V(1) > V(0), V(2), hidden)), Real(2 * math::lanes<V>));
    EXPECT_EQ(math::select(false, std::numeric_limits<Real>::quiet_NaN(), Real(2)), Real(2));
}

TYPED_TEST(MathLanes, FoldsAndMasksSeeEveryLane) {
    using Real = TypeParam;
    using V = math::Lanes<Real>;
    constexpr int width = math::lanes<V>;
    std::array<Real, width> x;
    std::array<std::uint8_t, width> flags{};
    std::array<bool, width> bools{};
    for (int k = 0; k < width; ++k) x[k] = Real(k + 1);
    V all = math::load<V>(x.data());
    EXPECT_EQ(math::sum(all), Real(width * (width + 1) / 2));
    EXPECT_EQ(math::largest(all), Real(width));
    EXPECT_EQ(math::smallest(all), Real(1));
    for (int k = 0; k < width; ++k) {
        flags[k] = 200;
        bools[k] = true;
        EXPECT_EQ(math::sum(math::select(math::load_mask<V>(flags.data()), all, V(0))), x[k]);
        EXPECT_EQ(math::sum(math::select(math::load_mask<V>(bools.data()), all, V(0))), x[k]);
        std::array<std::uint8_t, width> stored{};
        math::store_mask<V>(stored.data(), all == V(x[k]));
        for (int other = 0; other < width; ++other) EXPECT_EQ(stored[other], other == k);
        EXPECT_TRUE(math::any<V>(all == V(x[k])));
        EXPECT_FALSE(math::any<V>(all == V(0)));
        flags[k] = 0;
        bools[k] = false;
    }
}

}  // namespace
}  // namespace roars::math_test
