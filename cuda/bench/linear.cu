#include "measure.cuh"
#include "roars/cuda/blas.cuh"
#include "roars/methods/grpo.hpp"

/// The objective from hidden states against its three matrix products alone, in 16 bits.
namespace roars::gpu::bench {
namespace {

template <class T>
void linear(backend::Cuda& device, const char* type) {
    using A = methods::Grpo;
    using Gpu = backend::Cuda;
    constexpr std::int64_t tokens = 8192, width = 4096, vocabulary = 151936, chunk = 2048;
    using Set = unite_t<A::Columns, columns<col::token>>;
    Run run{device};
    Batch<float, Set, Gpu> batch(device, std::vector<std::int64_t>{0, tokens / 2, tokens},
                                 std::vector<std::int64_t>{0, 2});
    batch.own_rest();
    fill(device, batch[col::logp_old{}], tokens, 0.1f, -12.0f);
    fill(device, batch[col::logp_ref{}], tokens, 0.1f, -12.0f);
    fill(device, batch[col::advantage{}], tokens, 1.0f);
    fill(device, batch[col::mask{}], tokens, 0.0f, 1.0f);
    Buffer<T, Gpu> hidden(device, tokens * width), weight(device, vocabulary * width),
        grad_hidden(device, tokens * width), logits(device, chunk * vocabulary);
    Buffer<float, Gpu> grad_weight(device, vocabulary * width);
    fill(device, hidden.data(), tokens * width, 1.0f);
    fill(device, weight.data(), vocabulary * width, 0.02f);
    LastLayer<T> layer{hidden.data(), weight.data(), tokens, width, vocabulary};
    double products = seconds(
        device,
        [&] {
            for (std::int64_t begin = 0; begin < tokens; begin += chunk) {
                detail::logits_of(device, layer, begin, begin + chunk, logits.data());
                detail::hidden_gradient(device, layer, begin, begin + chunk, logits.data(), grad_hidden.data());
                detail::weight_gradient(device, layer, begin, begin + chunk, logits.data(), begin > 0,
                                        grad_weight.data());
            }
        },
        5);
    A::State state;
    Objective objective(device, methods::grpo);
    objective.count(run, state, batch);
    double whole = seconds(
        device,
        [&] {
            objective_from_hidden(objective, run, state, batch, layer, grad_hidden.data(), grad_weight.data(), chunk);
        },
        5);
    double operations = 6.0 * double(tokens) * double(width) * double(vocabulary);
    std::printf("| three products alone, 8192 x 4096 x 151936, %s | %.1f | %.0f TFLOP/s | |\n", type, products * 1e3,
                operations / products * 1e-12);
    std::printf("| objective from hidden states, %s | %.1f | %.2f times the products | |\n", type, whole * 1e3,
                whole / products);
}

}  // namespace
}  // namespace roars::gpu::bench

int main() {
    using namespace roars;
    if (gpu::device_count() == 0) {
        std::fprintf(stderr, "no CUDA device\n");
        return 2;
    }
    try {
        gpu::Stream stream;
        backend::Cuda device(stream);
        gpu::bench::linear<__nv_bfloat16>(device, "bfloat16");
        gpu::bench::linear<__half>(device, "half");
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
