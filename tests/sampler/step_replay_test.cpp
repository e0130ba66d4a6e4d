#include "roars/sampler/step_replay.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "roars/algorithm.hpp"
#include "roars/batch.hpp"

namespace roars::step_replay_test {
namespace {

using Steps = Batch<float, columns<col::mask, col::state, col::action, col::step_reward, col::done>>;

/// Steps whose numbers go up: three of a state, two of an action.
struct Numbered {
    float next = 0;

    template <class RunType>
    void roll_steps(RunType&, Steps& batch, std::int64_t steps, bool) {
        const std::vector<std::int64_t> offsets{0, steps};
        batch.reshape(offsets);
        batch.set_width(col::state{}, 3);
        batch.set_width(col::action{}, 2);
        auto count = [&](auto span) {
            for (float& each : span) each = next++;
        };
        count(batch[col::state{}]);
        count(batch[col::action{}]);
        count(batch[col::step_reward{}]);
        batch[col::done{}][0] = 0;
    }
};

/// A run that goes on begins with a batch that no step has been put into.
TEST(StepReplay, ABatchWithoutAStepOfItsOwnIsDrawnAlike) {
    const sampler::StepReplay<> replay{
        .capacity = 30, .batch_size = 7, .random_steps = 0, .warm_up = 10, .every = 4, .horizon = 3};
    sampler::StepReplay<>::State memory;
    Numbered source;
    Steps kept;
    backend::Host host;
    auto collect = [&](Steps& batch, int iteration) {
        roars::Run run{host, Random(5).at(std::uint32_t(iteration)), Progress{iteration, 100}};
        replay.collect(run, memory, source, batch, [](Steps&) {});
    };
    for (int i = 0; i < 14; ++i) collect(kept, i);
    ASSERT_EQ(memory.steps, 11);
    auto before = memory;
    collect(kept, 14);
    memory = before;
    Steps fresh;
    collect(fresh, 14);
    ASSERT_EQ(fresh.tokens(), kept.tokens());
    auto same = [&](auto column) {
        EXPECT_EQ(fresh.width(column), kept.width(column));
        EXPECT_TRUE(std::equal(fresh[column].begin(), fresh[column].end(), kept[column].begin(), kept[column].end()));
    };
    same(col::state{}), same(col::action{}), same(col::step_reward{}), same(col::done{}), same(col::mask{});
    for (std::int64_t t = 0; t < fresh.tokens(); ++t)
        EXPECT_EQ(fresh.row(col::action{}, t)[0], fresh.row(col::state{}, t)[0] + 3) << "a row is of one step";
}

}  // namespace
}  // namespace roars::step_replay_test
