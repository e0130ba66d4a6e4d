#include "roars/primitives/broadcast.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

#include "ragged.hpp"

namespace roars::broadcast_test {
namespace {

RC_GTEST_PROP(Broadcast, EveryElementGetsItsSegment, ()) {
    auto ragged = any_ragged<float>();
    std::vector<double> values(static_cast<std::size_t>(ragged.segments()));
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = 3.0 * static_cast<double>(i) + 1.0;
    std::vector<double> y(ragged.x.size(), -1.0);
    std::vector<std::int32_t> segment(ragged.x.size(), -1);
    std::vector<int> visits(ragged.x.size(), 0);
    segmented_broadcast(ragged.backend, ragged.offsets, std::span(values), std::span(y));
    segment_of_element(ragged.backend, ragged.offsets, std::span(segment));
    segmented_for_each(ragged.backend, ragged.offsets, [&](std::int64_t, std::int64_t i) { ++visits[i]; });
    for (std::int64_t i = 0; i < ragged.offsets.front(); ++i) RC_ASSERT(y[i] == -1.0 && visits[i] == 0);
    for (std::int64_t s = 0; s < ragged.segments(); ++s)
        for (std::int64_t i = ragged.offsets[s]; i < ragged.offsets[s + 1]; ++i)
            RC_ASSERT(y[i] == values[s] && segment[i] == s && visits[i] == 1);
}

TEST(Broadcast, HugeSegments) {
    auto ragged = huge_ragged();
    std::vector<std::int64_t> y(ragged.x.size(), -1);
    segmented_transform(ragged.backend, ragged.offsets, std::span(y),
                        [](std::int64_t segment, std::int64_t i) { return 10 * i + segment % 10; });
    for (std::int64_t s = 0; s < ragged.segments(); ++s)
        for (std::int64_t i = ragged.offsets[s]; i < ragged.offsets[s + 1]; ++i) ASSERT_EQ(y[i], 10 * i + s % 10);
}

TEST(Broadcast, SizesThatDoNotFitAreNamed) {
    backend::Host backend;
    std::vector<float> values(1), y(4);
    std::vector<std::int64_t> offsets{0, 2, 4};
    EXPECT_THROW(segmented_broadcast(backend, offsets, std::span(values), std::span(y)), Error);
}

}  // namespace
}  // namespace roars::broadcast_test
