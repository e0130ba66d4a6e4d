#include "../../cuda/tests/emulated.hpp"

#include <algorithm>
#include <cmath>

#include "../../cuda/tests/sampling_test.hpp"

namespace roars::gpu {
namespace {

/// A logit that counts how often it is looked at.
struct Watched {
    static inline std::int64_t looks = 0;
    float x;
    explicit operator float() const {
        ++looks;
        return x;
    }
};

constexpr std::int64_t vocabulary = 151936;

/// A model that knows little.
std::vector<Watched> flat() {
    std::mt19937 engine(5);
    std::normal_distribution<float> normal(0.0f, 3.0f);
    std::vector<Watched> logits;
    for (std::int64_t i = 0; i < vocabulary; ++i) logits.push_back({normal(engine)});
    return logits;
}
/// The k-th most likely token, anywhere, has 1 / k^2 of the likeliest one's mass: 90 % lie on seven tokens.
std::vector<Watched> of_language() {
    std::vector<Watched> logits;
    for (std::int64_t k = 1; k <= vocabulary; ++k) logits.push_back({-2.0f * std::log(float(k))});
    std::shuffle(logits.begin(), logits.end(), std::mt19937(5));
    return logits;
}

/// Looks at a row of 151,936 logits for one token, in rows.
double rows_read(const Generation& generation, const std::vector<Watched>& logits = flat()) {
    Emulated device;
    auto there = put(device, logits);
    auto u = put(device, std::vector<double>{0.7});
    Buffer<Sampled, Emulated> drawn(device, 1);
    Watched::looks = 0;
    sample_rows(device, Logits<Watched>(there.data(), 1, vocabulary), generation, u.data(), drawn.data());
    EXPECT_GE(read_samples(device, drawn.data(), 1)[0].token, 0);
    return double(Watched::looks) / double(vocabulary);
}

/// The row, and for a filter the stretches of neighbours that can matter: of flat logits, for top-p, all of them.
TEST(SamplingOnDevice, ReadsARowOnce) {
    EXPECT_LT(rows_read({.temperature = 0.8}), 1.01);
    EXPECT_LT(rows_read({.temperature = 0.0}), 1.01);
    EXPECT_LT(rows_read({.top_k = 20}), 1.2);
    EXPECT_LT(rows_read({.min_p = 0.3}), 1.2);
    EXPECT_LT(rows_read({.top_k = 20, .top_p = 0.9}), 1.3);
    EXPECT_LT(rows_read({.top_p = 0.95}, of_language()), 1.2);
    EXPECT_LT(rows_read({.temperature = 0.7, .top_k = 50, .top_p = 0.9, .min_p = 0.01}, of_language()), 1.4);
    EXPECT_LT(rows_read({.top_p = 0.5}), 2.1);
    EXPECT_LT(rows_read({.top_p = 0.95}), 4.1);
}

}  // namespace
}  // namespace roars::gpu
