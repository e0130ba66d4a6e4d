#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "measure.cuh"
#include "roars/cuda/algorithm.hpp"
#include "roars/cuda/divergence.hpp"
#include "roars/cuda/sampling.hpp"
#include "roars/cuda/step.hpp"
#include "roars/methods/grpo.hpp"

/// The parts that read and write as much as the memory gives. Usage: bench_cuda_parts [MILLION_TOKENS]
namespace roars::gpu::bench {
namespace {

using Gpu = backend::Cuda;
using A = methods::Grpo;

void offsets_every(Gpu& device, Buffer<std::int64_t, Gpu>& to, std::int64_t step) {
    std::vector<std::int64_t> values(std::size_t(to.size()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::int64_t(i) * step;
    to.upload(values);
    device.wait();
}

void tokens(Gpu& device, std::int64_t count, double copy) {
    constexpr std::int64_t length = 1024, group = 8;
    std::int64_t sequences = count / length;
    count = sequences * length;
    Buffer<std::int64_t, Gpu> offsets(device, sequences + 1), groups(device, sequences / group + 1);
    offsets_every(device, offsets, length);
    offsets_every(device, groups, group);
    Run run{device};
    {
        using Set = unite_t<A::Columns, columns<col::mask>>;
        Batch<float, Set, Gpu> batch(device, offsets.data(), sequences, count, groups.data(), sequences / group);
        batch.own_rest();
        for (float* column : {batch[col::logp{}], batch[col::logp_old{}], batch[col::logp_ref{}]})
            fill(device, column, count, 0.1f, -1.0f);
        fill(device, batch[col::mask{}], count, 0.0f, 1.0f);
        fill(device, batch[col::reward{}], sequences, 1.0f);
        A::State state;
        NoState none;
        row("group z-score", seconds(device, [&] { estimate(methods::grpo.advantage, run, none, batch); }),
            4.0 * double(count), copy);
        Objective objective(device, methods::grpo);
        objective.count(run, state, batch);
        row("objective from log-probabilities: clip + k3", seconds(device, [&] { objective(run, state, batch); }),
            24.0 * double(count), copy);
    }
    {
        using Part = advantage::VTrace<>;
        using Set = unite_t<needs_of<Part>, gives_of<Part>>;
        Batch<float, Set, Gpu> batch(device, offsets.data(), sequences, count);
        batch.own_rest();
        for (float* column : {batch[col::value{}], batch[col::next_value{}], batch[col::token_reward{}]})
            fill(device, column, count, 1.0f);
        fill(device, batch[col::logp{}], count, 0.1f, -1.0f);
        fill(device, batch[col::logp_old{}], count, 0.1f, -1.0f);
        NoState state;
        row("GAE", seconds(device, [&] { estimate(advantage::Gae<>{}, run, state, batch); }), 28.0 * double(count),
            copy);
        row("V-trace", seconds(device, [&] { estimate(Part{}, run, state, batch); }), 36.0 * double(count), copy);
        Buffer<std::int64_t, Gpu> one(device, 2);
        offsets_every(device, one, count);
        Batch<float, Set, Gpu> single(device, one.data(), 1, count);
        single.own_rest();
        row("GAE, one sequence of all tokens",
            seconds(
                device, [&] { estimate(advantage::Gae<>{}, run, state, single); }, 5),
            28.0 * double(count), copy);
    }
    {
        Buffer<float, Gpu> parameters(device, count), gradients(device, count);
        fill(device, parameters.data(), count, 1.0f);
        fill(device, gradients.data(), count, 1e-3f);
        Stepper<step::AdamW, float, Gpu> adamw(device, {.weight_decay = 0.1}, count);
        row("AdamW", seconds(device, [&] { adamw.step(parameters.data(), gradients.data()); }), 28.0 * double(count),
            copy);
    }
}

template <class T>
void logits(Gpu& device, const std::string& type, double copy) {
    constexpr std::int64_t count = 8192, vocabulary = 151936, length = 1024;
    using Set = unite_t<A::Columns, columns<col::token>>;
    Run run{device};
    std::vector<std::int64_t> offsets;
    for (std::int64_t i = 0; i <= count; i += length) offsets.push_back(i);
    Batch<float, Set, Gpu> batch(device, offsets, std::vector<std::int64_t>{0, count / length});
    batch.own_rest();
    fill(device, batch[col::logp_old{}], count, 0.1f, -12.0f);
    fill(device, batch[col::logp_ref{}], count, 0.1f, -12.0f);
    fill(device, batch[col::advantage{}], count, 1.0f);
    fill(device, batch[col::mask{}], count, 0.0f, 1.0f);
    Buffer<T, Gpu> memory(device, count * vocabulary);
    fill(device, memory.data(), count * vocabulary, 4.0f);
    Logits<T> rows(memory.data(), count, vocabulary);
    double pass = 2.0 * double(count) * double(vocabulary);
    Buffer<float, Gpu> entropy(device, count);
    row(("logits forward only: log-probability and entropy, " + type).c_str(),
        seconds(device,
                [&] {
                    selective_log_softmax(device, rows, batch[col::token{}], static_cast<const float*>(nullptr), 1.0,
                                          RowColumns<float>{batch[col::logp{}], nullptr, entropy.data(), nullptr});
                }),
        pass, copy);
    A::State state;
    Objective objective(device, methods::grpo);
    objective.count(run, state, batch);
    row(("objective from logits (as three passes), " + type).c_str(),
        seconds(device, [&] { objective.from_logits(run, state, batch, rows); }), 3.0 * pass, copy);
}

/// The whole divergence from a teacher: read three times each, the policy's rows overwritten.
void divergence(Gpu& device, double copy) {
    using T = __nv_bfloat16;
    constexpr std::int64_t count = 4096, vocabulary = 151936;
    Buffer<T, Gpu> policy(device, count * vocabulary), teacher(device, count * vocabulary);
    fill(device, policy.data(), count * vocabulary, 4.0f);
    fill(device, teacher.data(), count * vocabulary, 4.0f);
    Buffer<float, Gpu> value(device, count);
    Logits<T> rows(policy.data(), count, vocabulary);
    Logits<const T> others(teacher.data(), count, vocabulary);
    row("reverse KL to a teacher's logits (as seven passes), bfloat16",
        seconds(device,
                [&] {
                    full_divergence_with_gradient(device, roars::divergence::ReverseKl{}, rows, others, 1.0,
                                                  static_cast<const float*>(nullptr), value.data());
                }),
        7.0 * 2.0 * double(count) * double(vocabulary), copy);
}

void sampling(Gpu& device, double copy) {
    using T = __nv_bfloat16;
    constexpr std::int64_t drawn = 256, vocabulary = 151936;
    Buffer<T, Gpu> memory(device, drawn * vocabulary);
    fill(device, memory.data(), drawn * vocabulary, 4.0f);
    Buffer<double, Gpu> uniform(device, drawn);
    fill(device, uniform.data(), drawn, 0.5f, 0.5f);
    Buffer<Sampled, Gpu> samples(device, drawn);
    Logits<T> some(memory.data(), drawn, vocabulary);
    auto draw = [&](const char* name, const Generation& generation) {
        row(name, seconds(device, [&] { sample_rows(device, some, generation, uniform.data(), samples.data()); }),
            2.0 * double(drawn) * double(vocabulary), copy);
    };
    draw("sampling 256 rows: temperature", {});
    draw("sampling 256 rows: top-k 50", {.top_k = 50});
    draw("sampling 256 rows: top-p 0.95", {.top_p = 0.95});
    draw("sampling 256 rows: min-p 0.05", {.min_p = 0.05});
}

}  // namespace
}  // namespace roars::gpu::bench

int main(int argc, char** argv) {
    using namespace roars;
    if (gpu::device_count() == 0) {
        std::fprintf(stderr, "no CUDA device\n");
        return 2;
    }
    try {
        gpu::Stream stream;
        backend::Cuda device(stream);
        double copy = gpu::bench::copy_speed(device);
        std::printf("| copy within the device | | %.0f | 100 %% |\n", copy * 1e-9);
        gpu::bench::tokens(device, std::int64_t{1000000} * (argc > 1 ? std::atoll(argv[1]) : 64), copy);
        gpu::bench::logits<__nv_bfloat16>(device, "bfloat16", copy);
        gpu::bench::logits<__half>(device, "half", copy);
        gpu::bench::divergence(device, copy);
        gpu::bench::sampling(device, copy);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "%s\n", error.what());
        return 1;
    }
}
