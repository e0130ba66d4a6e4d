/// The objective from logits, and what the actor's logits say of its tokens, against a copy of the logits.
#include "roars/methods/dapo.hpp"
#include "roars/objective_logits.hpp"
#include "roars/regularizer/full_distribution.hpp"
#include "roars/sampler/geometric_mixture.hpp"
#include "rollouts.hpp"

namespace {

using namespace roars;

constexpr std::int64_t total = 1 << 24;  ///< logits at least, 64 MB

template <class BatchType>
BatchType rows_of(std::int64_t rows, std::int64_t vocabulary) {
    auto batch = bench::rollouts<BatchType>(rows / 8, 8);
    bench::fill(batch[col::token{}], 20, [=](const Random& random, std::uint32_t sequence, std::uint32_t token) {
        return random.uniform(sequence, token) * double(vocabulary);
    });
    return batch;
}
std::vector<float> logits_of(std::int64_t rows, std::int64_t vocabulary) {
    std::vector<float> logits(static_cast<std::size_t>(rows * vocabulary));
    bench::fill_normal(std::span(logits), 21, 0.0, 2.0);
    return logits;
}
std::int64_t rows_for(std::int64_t vocabulary) { return (total / vocabulary + 63) / 64 * 64; }

/// Reads the logits, writes their gradient in their place.
void objective(benchmark::State& state) {
    std::int64_t vocabulary = state.range(0), rows = rows_for(vocabulary);
    using Method = methods::Dapo;
    auto batch = rows_of<Batch<float, unite_t<Method::Columns, columns<col::token>>>>(rows, vocabulary);
    auto original = logits_of(rows, vocabulary), logits = original;
    backend::Host backend;
    Run run{backend};
    Method::State parts;
    auto totals = methods::dapo.totals(run, parts, batch);
    std::int64_t bytes = rows * vocabulary * std::int64_t(sizeof(float));
    bench::against_copy(
        state, {bytes, bytes}, rows * vocabulary,
        [&] { objective_from_logits(methods::dapo, run, parts, batch, totals, std::span(logits), vocabulary); },
        [&] { logits = original; });
}

/// Reads the logits only: log-probabilities of the tokens and, with_entropy, the entropies.
template <bool with_entropy>
void forward(benchmark::State& state) {
    std::int64_t vocabulary = state.range(0), rows = rows_for(vocabulary);
    using Entropy = std::conditional_t<with_entropy, columns<col::entropy>, columns<>>;
    auto batch = rows_of<Batch<float, unite_t<columns<col::token, col::logp>, Entropy>>>(rows, vocabulary);
    auto logits = logits_of(rows, vocabulary);
    std::vector<float> log_sum_exp(static_cast<std::size_t>(rows));
    backend::Host backend;
    Run run{backend};
    bench::against_copy(state, {rows * vocabulary * std::int64_t(sizeof(float)), 0}, rows * vocabulary, [&] {
        read_logits(run, batch, std::span<const float>(logits), vocabulary, 1.0, std::span(log_sum_exp));
    });
}

/// Reads the logits of both and writes the gradient of the policy's.
template <class Divergence>
void divergence_of(benchmark::State& state) {
    std::int64_t vocabulary = state.range(0), rows = rows_for(vocabulary);
    auto logits = logits_of(rows, vocabulary), teacher = logits, gradient = logits;
    bench::fill_normal(std::span(teacher), 22, 0.0, 2.0);
    std::vector<float> weight(static_cast<std::size_t>(rows), 1.0f), value(weight.size());
    backend::Host backend;
    std::int64_t bytes = rows * vocabulary * std::int64_t(sizeof(float));
    bench::against_copy(state, {2 * bytes, bytes}, rows * vocabulary, [&] {
        full_divergence(backend, Divergence{}, std::span<const float>(logits), std::span<const float>(teacher),
                        vocabulary, 1.0, std::span<const float>(weight), std::span(value), std::span(gradient));
    });
}
/// Reads the logits of two policies and writes those of the one between them.
void mixture(benchmark::State& state) {
    std::int64_t vocabulary = state.range(0), rows = rows_for(vocabulary);
    auto policy = logits_of(rows, vocabulary), reference = policy, mixed = policy;
    bench::fill_normal(std::span(reference), 22, 0.0, 2.0);
    backend::Host backend;
    std::int64_t bytes = rows * vocabulary * std::int64_t(sizeof(float));
    bench::against_copy(state, {2 * bytes, bytes}, rows * vocabulary, [&] {
        sampler::GeometricMixture{}.mix(backend, std::span<const float>(policy), std::span<const float>(reference),
                                        vocabulary, std::span(mixed));
    });
}

void vocabularies(benchmark::internal::Benchmark* benchmark) {
    for (std::int64_t vocabulary : {32000, 151936}) benchmark->Arg(vocabulary);
    benchmark->UseManualTime()->Unit(benchmark::kMillisecond);
}
BENCHMARK(objective)->Name("logits/objective and gradient (DAPO)")->Apply(vocabularies);
BENCHMARK(forward<false>)->Name("logits/logp")->Apply(vocabularies);
BENCHMARK(forward<true>)->Name("logits/logp and entropy")->Apply(vocabularies);
BENCHMARK(divergence_of<divergence::ReverseKl>)->Name("logits/ReverseKl and gradient")->Apply(vocabularies);
BENCHMARK(divergence_of<divergence::ForwardKl>)->Name("logits/ForwardKl and gradient")->Apply(vocabularies);
BENCHMARK(divergence_of<divergence::JensenShannon>)->Name("logits/JensenShannon and gradient")->Apply(vocabularies);
BENCHMARK(divergence_of<divergence::TotalVariation>)->Name("logits/TotalVariation and gradient")->Apply(vocabularies);
BENCHMARK(divergence_of<divergence::Cosine>)->Name("logits/Cosine and gradient")->Apply(vocabularies);
BENCHMARK(mixture)->Name("logits/GeometricMixture")->Apply(vocabularies);

}  // namespace

BENCHMARK_MAIN();
