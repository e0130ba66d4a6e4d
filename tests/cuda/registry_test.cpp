#include <string>

#include "../../cuda/tests/emulated.hpp"

#include "../../cuda/tests/against_host.hpp"
#include "roars/methods/registry.hpp"

/// Every method of the registry that runs on a device gives there, in loops on the host, what it gives on the host.
namespace roars::gpu {
namespace {

using D = EmulatedIn<Order::shuffled>;

/// Pairs where a method asks for them: the host throws at anything else.
template <class A, class BatchType>
bool fits(const A& algorithm, BatchType batch) {
    backend::Host cpu;
    roars::Run run{cpu};
    typename A::State state{};
    try {
        algorithm.score(run, state, batch);
        algorithm.estimate(run, state, batch);
        static_cast<void>(algorithm.objective(run, state, batch));
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("expected a pair"), std::string::npos) << error.what();
        return false;
    }
    return true;
}
template <class A>
auto batch_for(const A& algorithm) {
    using Set = WithMask<A>;
    auto make = [&](const std::vector<std::int64_t>& groups) {
        auto batch = random_batch<double, Set>(groups);
        // TSCAC: a row of references, and of responses, for each token.
        if constexpr (requires { algorithm.optimizer.surrogate.multiplier; }) {
            batch.set_width(col::logp_ref{}, std::ssize(algorithm.optimizer.surrogate.multiplier));
            double x = 0.0;
            for (auto& logp : batch[col::logp_ref{}]) logp = -1.0 + 0.5 * std::sin(x += 1.0);
        }
        if constexpr (requires { algorithm.reward.index; }) {
            batch.set_width(col::step_reward{}, 1 + algorithm.reward.index);
            double x = 0.0;
            for (auto& reward : batch[col::step_reward{}]) reward = std::cos(x += 1.0);
        }
        return batch;
    };
    auto any = make(group_offsets);
    return fits(algorithm, any) ? any : make(pair_offsets);
}

template <class A>
void check(std::string_view name, const A& algorithm) {
    SCOPED_TRACE(std::string(name));
    if constexpr (runs_on_device<A>) expect_the_hosts<D>(algorithm, batch_for(algorithm), 1e-10);
}
TEST(RegistryOnDevice, IsTheHosts) {
    methods::for_each([](const auto& entry) { check(entry.facts.name, entry.method); });
}

}  // namespace
}  // namespace roars::gpu
