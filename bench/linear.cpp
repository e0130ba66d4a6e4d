/// The objective over a fused last linear layer, against its three matrix products alone, which have the logits in
/// memory as a whole. Counters: share_of_products = time of the products / time of the objective; extra_over_logits =
/// the most that the objective holds at once / the bytes of the logits.
#include "../tests/primitives/counting_memory.hpp"
#include "roars/methods/dapo.hpp"
#include "roars/objective_linear.hpp"
#include "rollouts.hpp"

namespace {

using namespace roars;

/// logits = weight hidden; gradient of weight += hidden slopes^T; gradient of hidden = weight^T slopes. The logits
/// stand for their own slopes.
void products(backend::Host& backend, std::span<const float> weight, std::span<const float> hidden,
              std::span<float> logits, std::span<float> grad_weight, std::span<float> grad_hidden, std::int64_t width) {
    std::int64_t vocabulary = std::ssize(weight) / width, tokens = std::ssize(hidden) / width;
    matrix::ConstMatrixMap<float> w(weight.data(), width, vocabulary), h(hidden.data(), width, tokens);
    matrix::MatrixMap<float> z(logits.data(), vocabulary, tokens), gw(grad_weight.data(), width, vocabulary),
        gh(grad_hidden.data(), width, tokens);
    auto pieces = [&](std::int64_t total, std::int64_t piece, auto&& body) {
        parallel_for(backend, (total + piece - 1) / piece,
                     [&](std::int64_t p) { body(p * piece, std::min(piece, total - p * piece)); });
    };
    pieces(vocabulary, 512, [&](std::int64_t first, std::int64_t count) {
        matrix::set_product(z.middleRows(first, count), w.middleCols(first, count).transpose(), h);
    });
    pieces(vocabulary, 512, [&](std::int64_t first, std::int64_t count) {
        matrix::add_product(gw.middleCols(first, count), h, z.middleRows(first, count).transpose());
    });
    pieces(tokens, 64, [&](std::int64_t first, std::int64_t count) {
        matrix::set_product(gh.middleCols(first, count), w, z.middleCols(first, count));
    });
}

void objective(benchmark::State& state) {
    constexpr std::int64_t tokens = 2048;
    std::int64_t width = state.range(0), vocabulary = state.range(1);
    using Method = methods::Dapo;
    auto batch = bench::rollouts<Batch<float, unite_t<Method::Columns, columns<col::token>>>>(tokens / 64, 64);
    std::fill(batch[col::mask{}].begin(), batch[col::mask{}].end(), 1.0f);
    bench::fill(batch[col::token{}], 20, [=](const Random& random, std::uint32_t sequence, std::uint32_t token) {
        return random.uniform(sequence, token) * double(vocabulary);
    });
    auto normal = [](std::int64_t size, std::uint32_t which, double spread) {
        std::vector<float> values(static_cast<std::size_t>(size));
        bench::fill_normal(std::span(values), which, 0.0, spread);
        return values;
    };
    auto weight = normal(vocabulary * width, 21, 0.1), hidden = normal(tokens * width, 22, 1.0);
    std::vector<float> grad_weight(weight.size()), grad_hidden(hidden.size());
    std::vector<float> logits(static_cast<std::size_t>(tokens * vocabulary));
    backend::Host backend;
    Run run{backend};
    Method::State parts;
    auto totals = methods::dapo.totals(run, parts, batch);
    CountingMemory memory;
    bench::against_products(
        state, [&] { products(backend, weight, hidden, logits, grad_weight, grad_hidden, width); },
        [&] {
            objective_from_hidden(methods::dapo, run, parts, batch, totals, std::span<const float>(hidden),
                                  LinearHead<float>{weight, width},
                                  LinearGradients<float>{.hidden = grad_hidden, .weight = grad_weight},
                                  {.resource = &memory});
        });
    state.counters["extra_over_logits"] = double(memory.peak) / double(logits.size() * sizeof(float));
}
BENCHMARK(objective)
    ->Name("linear/objective and gradients (DAPO)")
    ->ArgNames({"width", "vocabulary"})
    ->Args({256, 32000})
    ->Args({1024, 32000})
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace

BENCHMARK_MAIN();
