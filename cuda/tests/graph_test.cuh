#pragma once

#include "cuda_device.cuh"
#include "on_device.hpp"
#include "roars/cuda/algorithm.hpp"
#include "roars/methods/grpo.hpp"

namespace roars::gpu {
namespace {

struct CudaGraph : OnDevice<backend::Cuda> {};

TEST(CudaErrors, NameTheCallAndTheReason) {
    try {
        check(cudaErrorInvalidValue, "cudaSomething");
        FAIL();
    } catch (const CallFailed& error) {
        EXPECT_EQ(std::string(error.what()).find("cudaSomething: cudaErrorInvalidValue"), 0u) << error.what();
        EXPECT_EQ(error.code, cudaErrorInvalidValue);
    }
    EXPECT_NO_THROW(check(cudaSuccess, "cudaSomething"));
}

/// Advantages, counts, loss and gradients as one graph, launched on other rewards than it was captured on.
TEST_F(CudaGraph, OfAWholeObjectiveIsTheObjective) {
    using A = methods::Grpo;
    static_assert(runs_on_device<A>);
    Stream stream;
    PoolMemory memory;
    backend::Cuda device(stream, memory);
    roars::Run run{device};
    A::State state{};
    roars::Batch<float, unite_t<A::Columns, columns<col::mask>>> host(
        std::vector<std::int64_t>{0, 700, 1500, 1501, 4000}, std::vector<std::int64_t>{0, 2, 4});
    for (std::size_t t = 0; t < 4000; ++t) {
        host[col::mask{}][t] = 1.0f;
        host[col::logp{}][t] = -1.0f - float(t % 7) / 10;
        host[col::logp_old{}][t] = host[col::logp_ref{}][t] = -1.2f;
    }
    Batch<float, unite_t<A::Columns, columns<col::mask>>, backend::Cuda> batch(device, host);
    batch.own_rest();
    Objective objective(device, methods::grpo);
    auto turn = [&] {
        estimate(methods::grpo, run, state, batch);
        objective.begin();
        objective.add(run, state, batch);
        objective(run, state, batch);
    };
    auto with_rewards = [&](const std::vector<float>& rewards) {
        device.copy(batch[col::reward{}], rewards.data(), rewards.size() * sizeof(float), Way::to_device);
        device.wait();
    };
    const std::vector<float> first{1, 0, 1, 0}, second{0, 3, 0, 1};
    with_rewards(second);
    turn();
    double expected = objective.read(batch).loss();
    with_rewards(first);
    turn();

    cudaGraph_t graph;
    cudaGraphExec_t executable;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    turn();
    check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
    check(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
    with_rewards(second);
    check(cudaGraphLaunch(executable, stream), "cudaGraphLaunch");
    EXPECT_EQ(objective.read(batch).loss(), expected);
    check(cudaGraphExecDestroy(executable), "cudaGraphExecDestroy");
    check(cudaGraphDestroy(graph), "cudaGraphDestroy");
}

TEST_F(CudaGraph, MemoryWhileCapturedIsAnError) {
    Stream stream;
    backend::Cuda device(stream);
    cudaGraph_t graph;
    check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "cudaStreamBeginCapture");
    EXPECT_THROW(device.allocate(16), Error);
    check(cudaStreamEndCapture(stream, &graph), "cudaStreamEndCapture");
    check(cudaGraphDestroy(graph), "cudaGraphDestroy");
}

}  // namespace
}  // namespace roars::gpu
