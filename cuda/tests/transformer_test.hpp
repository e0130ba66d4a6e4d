#include <cmath>
#include <cstdint>
#include <random>
#include <vector>

#include "on_device.hpp"
#include "roars/cuda/sampling.hpp"
#include "roars/cuda/transformer.hpp"

namespace roars::gpu {
namespace {

template <class D>
struct TransformerOnDevice : OnDevice<D> {};
TYPED_TEST_SUITE(TransformerOnDevice, OneDevice);

constexpr actor::TransformerSettings small_model{
    .vocabulary = 7, .layers = 2, .width = 12, .heads = 2, .hidden = 20, .max_length = 48, .value_head = true};

/// Gains and biases off their start values, so that every parameter matters.
template <class Real>
actor::Transformer<Real> disturbed(const actor::TransformerSettings& settings) {
    actor::Transformer<Real> model(settings, 3);
    RandomStream random{Random(4)};
    for (Real& value : model.parameters().values()) value += static_cast<Real>(0.2 * random.normal());
    return model;
}

struct PackedBatch {
    std::vector<std::int32_t> tokens;
    std::vector<std::int64_t> offsets{0}, rows;

    /// Random tokens; every row but each fifth, one of them twice.
    PackedBatch(const std::vector<std::int64_t>& lengths, std::int64_t vocabulary) {
        RandomStream random{Random(5)};
        for (std::int64_t length : lengths) {
            for (std::int64_t t = 0; t < length; ++t)
                tokens.push_back(static_cast<std::int32_t>(random.below(vocabulary)));
            offsets.push_back(std::ssize(tokens));
        }
        for (std::int64_t t = 0; t < std::ssize(tokens); ++t)
            for (int copies = t % 5 == 2 ? 0 : t == 7 ? 2 : 1; copies > 0; --copies) rows.push_back(t);
    }
};

template <class Real>
std::vector<Real> numbers(std::size_t count, std::uint64_t seed) {
    RandomStream random{Random(seed)};
    std::vector<Real> drawn(count);
    for (Real& x : drawn) x = static_cast<Real>(random.normal());
    return drawn;
}

template <class A, class B>
void expect_close(const A& there, const B& here, double tolerance, const char* what) {
    ASSERT_EQ(std::ssize(there), std::ssize(here)) << what;
    for (std::size_t i = 0; i < there.size(); ++i)
        ASSERT_NEAR(double(there[i]), double(here[i]), tolerance * (1 + std::abs(double(here[i])))) << what << " " << i;
}
template <class T, class D>
std::vector<T> to_host(D& device, const T* from, std::size_t count) {
    return read_values(device, from, std::int64_t(count));
}

/// Logits, values and every gradient are the host's.
template <class P, class D>
void expect_the_hosts(const actor::TransformerSettings& settings, const std::vector<std::int64_t>& lengths,
                      double tolerance) {
    using Real = typename P::Real;
    auto host = disturbed<Real>(settings);
    PackedBatch batch(lengths, settings.vocabulary);
    D device;
    Transformer<D, P> model(device, host);
    Sequences<D> sequences(device);
    Activations<D, P> work(device);
    sequences.assign(settings, batch.tokens, batch.offsets, batch.rows);

    auto expected = host.forward(batch.tokens, batch.offsets, batch.rows);
    auto read = model.read(work, sequences);
    auto read_logits = to_host(device, read.logits, expected.logits.size());
    auto output = model.forward(work, sequences);
    ASSERT_EQ(output.rows, std::ssize(batch.rows));
    auto logits = to_host(device, output.logits, expected.logits.size());
    EXPECT_EQ(logits, read_logits);
    expect_close(logits, expected.logits, tolerance, "logit");
    expect_close(to_host(device, output.values, expected.values.size()), expected.values, tolerance, "value");

    auto grad_logits = numbers<Real>(expected.logits.size(), 6), grad_values = numbers<Real>(expected.values.size(), 7);
    host.parameters().zero_gradients();
    host.backward(grad_logits, grad_values);
    auto there = put(device, grad_logits), values_there = put(device, grad_values);
    Buffer<Real, D> gradients(device, model.size());
    gradients.zero();
    const Real* of_values = settings.value_head ? values_there.data() : nullptr;
    for (int times = 1; times <= 2; ++times) {  // the second adds as much again
        model.backward(work, sequences, there.data(), of_values, gradients.data());
        auto found = gradients.download();
        double scale = 1.0;
        for (Real x : host.parameters().gradients()) scale = std::max(scale, std::abs(double(x)));
        for (const auto& tensor : host.parameters().tensors())
            for (std::int64_t i = tensor.offset; i < tensor.offset + tensor.size; ++i)
                ASSERT_NEAR(double(found[std::size_t(i)]),
                            times * double(host.parameters().gradients()[std::size_t(i)]), tolerance * scale)
                    << tensor.name << " element " << i - tensor.offset;
    }
}
const std::vector<std::int64_t> ragged{40, 0, 1, 5, 30, 17, 48};

TYPED_TEST(TransformerOnDevice, LogitsValuesAndEveryGradientAreTheHosts) {
    expect_the_hosts<Precision<double>, TypeParam>(small_model, ragged, 1e-10);
    expect_the_hosts<Exact, TypeParam>(small_model, ragged, 2e-5);
    auto plain = small_model;
    plain.value_head = false;
    expect_the_hosts<Precision<double>, TypeParam>(plain, ragged, 1e-10);
}
TYPED_TEST(TransformerOnDevice, AnyLayoutOfHeads) {
    for (auto [width, heads] : {std::pair{4, 2}, {80, 2}, {100, 1}, {256, 2}}) {  // of 2, 40, 100 and 128 features
        actor::TransformerSettings settings = small_model;
        settings.layers = 1;
        settings.width = width;
        settings.heads = heads;
        expect_the_hosts<Precision<double>, TypeParam>(settings, {19, 1, 3}, 1e-10);
        expect_the_hosts<Exact, TypeParam>(settings, {21, 7}, 5e-5);
    }
}
/// Factors in 16 bits: the host's numbers but for their rounding, which is 2^-9 of each.
TYPED_TEST(TransformerOnDevice, FactorsMayHave16Bits) {
    expect_the_hosts<Precision<float, Brain>, TypeParam>(small_model, {19, 1, 8}, 0.04);
}
TYPED_TEST(TransformerOnDevice, NoTokenOneTokenAndTheLongestAreDefined) {
    expect_the_hosts<Precision<double>, TypeParam>(small_model, {1}, 1e-10);
    expect_the_hosts<Precision<double>, TypeParam>(small_model, {48}, 1e-10);
    TypeParam device;
    auto host = disturbed<float>(small_model);
    Transformer<TypeParam, Exact> model(device, host);
    Sequences<TypeParam> sequences(device);
    Activations<TypeParam, Exact> work(device);
    Buffer<float, TypeParam> gradients(device, model.size());
    gradients.zero();
    sequences.assign(small_model, {}, std::vector<std::int64_t>{0, 0, 0}, {});
    EXPECT_EQ(model.forward(work, sequences).rows, 0);
    model.backward(work, sequences, nullptr, nullptr, gradients.data());
    sequences.assign(small_model, std::vector<std::int32_t>{1, 2}, std::vector<std::int64_t>{0, 2}, {});
    EXPECT_EQ(model.forward(work, sequences).rows, 0);  // of which nothing is asked
    model.backward(work, sequences, nullptr, nullptr, gradients.data());
    for (float g : gradients.download()) ASSERT_EQ(g, 0.0f);
}
TYPED_TEST(TransformerOnDevice, RefusesWhatTheHostRefuses) {
    TypeParam device;
    Sequences<TypeParam> sequences(device);
    auto assign = [&](std::vector<std::int32_t> tokens, std::vector<std::int64_t> offsets,
                      std::vector<std::int64_t> rows) { sequences.assign(small_model, tokens, offsets, rows); };
    EXPECT_THROW(assign({1, 7}, {0, 2}, {}), Error);
    EXPECT_THROW(assign({1, 2}, {0, 1}, {}), Error);
    EXPECT_THROW(assign({1, 2}, {0, 2}, {2}), Error);
    EXPECT_THROW(assign({1, 2}, {0, 2}, {1, 0}), Error);
    EXPECT_THROW(assign(std::vector<std::int32_t>(49, 1), {0, 49}, {}), Error);
    auto settings = small_model;
    settings.width = 260;
    EXPECT_THROW((Transformer<TypeParam, Exact>(device, actor::Transformer<float>(settings))), Error);
    Transformer<TypeParam, Exact> model(device, disturbed<float>(small_model));
    Activations<TypeParam, Exact> work(device);
    assign({1, 2}, {0, 2}, {1});
    auto output = model.read(work, sequences);
    EXPECT_THROW(model.backward(work, sequences, output.logits, nullptr, nullptr), Error);
}

/// Rollouts of several prompts, which end at different times: the host's logits at every step, and its tokens from the
/// same uniform numbers.
template <class P, class D>
void expect_the_hosts_rollouts(double tolerance) {
    using Real = typename P::Real;
    auto host = disturbed<Real>(small_model);
    D device;
    Transformer<D, P> model(device, host);
    PackedBatch prompts({3, 1, 17}, small_model.vocabulary);
    Activations<D, P> work(device);
    DeviceGenerator<D, P> generator(device, work);
    actor::Generator<Real> host_generator(host);
    constexpr std::int64_t copies = 4, longest = 31;  // 17 and 31 are all that there is room for
    auto output = generator.begin(model, prompts.tokens, prompts.offsets, copies, longest);
    auto expected = host_generator.begin(prompts.tokens, prompts.offsets, copies, longest);
    backend::Host backend;
    Generation generation{.temperature = 0.9, .top_p = 0.95};
    Random random(11);
    for (std::int64_t t = 0; host_generator.live() > 0; ++t) {
        ASSERT_EQ(generator.live(), host_generator.live());
        auto rows = host_generator.rollouts();
        ASSERT_TRUE(std::equal(rows.begin(), rows.end(), generator.rollouts().begin()));
        expect_close(to_host(device, output.logits, expected.logits.size()), expected.logits, tolerance, "logit");
        expect_close(to_host(device, output.values, expected.values.size()), expected.values, tolerance, "value");
        std::vector<double> u;
        for (std::int64_t row : rows) u.push_back(random.uniform(std::uint32_t(row), std::uint32_t(t)));
        std::vector<Sampled> drawn(rows.size());
        sample_rows(backend, std::span<const Real>(expected.logits), small_model.vocabulary, generation,
                    std::span<const double>(u), std::span<Sampled>(drawn));
        auto u_there = put(device, u);
        Buffer<Sampled, D> drawn_there(device, std::ssize(u));
        sample_rows(device, Logits<Real>(output.logits, output.rows, small_model.vocabulary), generation,
                    u_there.data(), drawn_there.data());
        auto read = read_samples(device, drawn_there.data(), std::ssize(u));
        std::vector<std::int32_t> next;
        for (std::size_t i = 0; i < u.size(); ++i) {
            ASSERT_EQ(read[i].token, drawn[i].token) << "step " << t << ", row " << i;
            ASSERT_NEAR(read[i].logp, drawn[i].logp, tolerance * 10);
            bool ends = t + 1 == longest || (rows[i] + t) % 9 == 8;
            next.push_back(ends ? generator.finished : std::int32_t(drawn[i].token));
        }
        output = generator.step(next);
        expected = host_generator.step(next);
    }
    EXPECT_EQ(generator.live(), 0);
    EXPECT_THROW(generator.begin(model, prompts.tokens, prompts.offsets, 1, 33), Error);
}
TYPED_TEST(TransformerOnDevice, GenerationIsTheHosts) {
    expect_the_hosts_rollouts<Precision<double>, TypeParam>(1e-10);
    expect_the_hosts_rollouts<Exact, TypeParam>(3e-5);
}
TYPED_TEST(TransformerOnDevice, ASteadyLoopAllocatesNothing) {
    TypeParam device;
    auto host = disturbed<float>(small_model);
    Transformer<TypeParam, Exact> model(device, host);
    Sequences<TypeParam> sequences(device);
    Activations<TypeParam, Exact> work(device);
    DeviceGenerator<TypeParam, Exact> generator(device, work);
    Buffer<float, TypeParam> gradients(device, model.size());
    PackedBatch batch({9, 4}, small_model.vocabulary);
    std::vector<float> first;
    std::int64_t before = 0;
    for (int turn = 0; turn < 3; ++turn) {
        generator.begin(model, batch.tokens, batch.offsets, 3, 2);
        generator.step(std::vector<std::int32_t>(6, 1));
        sequences.assign(small_model, batch.tokens, batch.offsets, batch.rows);
        auto output = model.forward(work, sequences);
        gradients.zero();
        model.backward(work, sequences, output.logits, output.values, gradients.data());
        if (turn == 0) first = gradients.download();
        EXPECT_EQ(gradients.download(), first);  // and the same run gives the same bits
        if constexpr (requires { device.allocations; }) {
            if (turn == 1) before = device.allocations;
            if (turn == 2) EXPECT_EQ(device.allocations, before);
        }
    }
}
TYPED_TEST(TransformerOnDevice, ASnapshotStaysAsItWas) {
    TypeParam device;
    auto host = disturbed<float>(small_model);
    Transformer<TypeParam, Exact> model(device, host);
    auto frozen = model.snapshot();
    model.upload(std::vector<float>(std::size_t(model.size()), 0.5f));
    auto values = frozen.download();
    EXPECT_TRUE(std::equal(values.begin(), values.end(), host.parameters().values().begin()));
}

}  // namespace
}  // namespace roars::gpu
