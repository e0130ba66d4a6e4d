#include <cmath>
#include <random>

#include "on_device.hpp"
#include "roars/cuda/sampling.hpp"

namespace roars::gpu {
namespace {

template <class D>
struct SamplingOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(SamplingOnDevice, Devices);

const std::vector<Generation> settings{
    {},
    {.temperature = 0.0},
    {.temperature = 0.7, .top_k = 5},
    {.temperature = 1.3, .top_p = 0.5},
    {.top_k = 1},
    {.top_k = 40, .top_p = 0.8, .min_p = 0.05},
    {.min_p = 0.2},
    {.temperature = 1e-3, .top_k = 50, .top_p = 0.999},
    {.temperature = 2.0, .top_p = 1e-9},
    {.temperature = 0.5, .top_p = 0.97, .repetition_penalty = 1.2},
    {.temperature = 3.0, .top_p = 0.999},
    {.temperature = 0.9, .top_k = 30, .top_p = 0.9, .repetition_penalty = 1.3},
};

/// Rows of every kind: scattered, all equal, few values many times, one far out, most of them forbidden.
std::vector<float> rows_of(std::int64_t vocabulary, std::mt19937& engine) {
    std::normal_distribution<float> normal(0.0f, 4.0f);
    std::vector<float> logits;
    for (int kind = 0; kind < 6; ++kind)
        for (std::int64_t i = 0; i < vocabulary; ++i) {
            float x = normal(engine);
            if (kind == 1) x = 0.5f;
            if (kind == 2) x = std::round(x / 4);
            if (kind == 3) x = i == vocabulary / 2 ? -1e30f : x;
            if (kind == 4) x = i % 7 == 3 ? x : -INFINITY;
            if (kind == 5) x = i % 2 ? -0.0f : 0.0f;
            logits.push_back(x);
        }
    for (std::int64_t r = 0; r < 6; ++r) logits[std::size_t(r * vocabulary)] = 1.0f;  // one is allowed
    return logits;
}

TYPED_TEST(SamplingOnDevice, DrawsTheHostsTokens) {
    std::mt19937 engine(1);
    for (std::int64_t vocabulary : {1, 2, 50, 255, 257, 1000, 2049, 40001})
        for (const auto& generation : settings) {
            auto logits = rows_of(vocabulary, engine);
            std::vector<double> u;
            std::vector<std::int64_t> offsets{0};
            std::vector<std::int32_t> previous;
            for (int r = 0; r < 6; ++r) {
                u.push_back(r == 2 ? 0.0 : r == 5 ? std::nextafter(1.0, 0.0) : Random(3).uniform(std::uint32_t(r), 9));
                for (int k = 0; k < r; ++k) previous.push_back(std::int32_t(engine() % std::uint32_t(vocabulary)));
                offsets.push_back(std::ssize(previous));
            }
            std::vector<Sampled> expected(6);
            backend::Host host;
            roars::sample_rows(host, std::span<const float>(logits), vocabulary, generation, std::span<const double>(u),
                               std::span(expected), offsets, std::span<const std::int32_t>(previous));
            TypeParam device;
            auto there = put(device, logits);
            auto u_there = put(device, u);
            auto offsets_there = put(device, offsets);
            auto previous_there = put(device, previous);
            Buffer<Sampled, TypeParam> result(device, 6);
            sample_rows(device, Logits<float>(there.data(), 6, vocabulary), generation, u_there.data(), result.data(),
                        offsets_there.data(), previous_there.data());
            auto drawn = read_samples(device, result.data(), 6);
            for (std::size_t r = 0; r < 6; ++r) {
                ASSERT_EQ(drawn[r].token, expected[r].token)
                    << vocabulary << ' ' << &generation - settings.data() << ' ' << r;
                ASSERT_NEAR(drawn[r].logp, expected[r].logp, 1e-12);
                ASSERT_NEAR(drawn[r].logp_full, expected[r].logp_full, 1e-12);
            }
        }
}

TYPED_TEST(SamplingOnDevice, SaysWhyNothingCanBeDrawn) {
    TypeParam device;
    Buffer<Sampled, TypeParam> drawn(device, 1);
    auto u = put(device, std::vector<double>{0.5});
    auto why = [&](const std::vector<float>& logits, const std::vector<std::int32_t>& previous) -> std::string {
        auto there = put(device, logits);
        auto before = put(device, previous);
        auto offsets = put(device, std::vector<std::int64_t>{0, std::ssize(previous)});
        sample_rows(device, Logits<float>(there.data(), 1, std::ssize(logits)), {.repetition_penalty = 1.1}, u.data(),
                    drawn.data(), offsets.data(), before.data());
        try {
            read_samples(device, drawn.data(), 1);
        } catch (const Error& error) {
            return error.what();
        }
        return "";
    };
    EXPECT_EQ(why({0.0f, NAN}, {}), "row 0: a logit is nan or inf, expected a number or -inf");
    EXPECT_EQ(why({0.0f, INFINITY}, {}), "row 0: a logit is nan or inf, expected a number or -inf");
    EXPECT_EQ(why({-INFINITY, -INFINITY}, {}), "row 0: a row of logits allows no token: expected one above -inf");
    EXPECT_EQ(why({0.0f, 1.0f}, {2}), "row 0: a previous token is outside the vocabulary");
    EXPECT_EQ(why({0.0f, 1.0f}, {1}), "");
}

TYPED_TEST(SamplingOnDevice, UniformNumbersAreTheHosts) {
    TypeParam device;
    auto sequence = put(device, std::vector<std::int64_t>{0, 3, 70000}),
         token = put(device, std::vector<std::int64_t>{5, 6, 7});
    Buffer<double, TypeParam> u(device, 3);
    uniform_of_rows(device, Random(9, Purpose::sample, 4), 3, sequence.data(), token.data(), u.data());
    EXPECT_EQ(u.download()[2], Random(9, Purpose::sample, 4).uniform(70000, 7));
}

}  // namespace
}  // namespace roars::gpu
