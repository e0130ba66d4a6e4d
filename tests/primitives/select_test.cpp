#include "roars/primitives/select.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

#include "ragged.hpp"

namespace roars::select_test {
namespace {

RC_GTEST_PROP(Select, KeepsTheFlaggedSegmentsInOrder, ()) {
    auto ragged = any_ragged<double>();
    for (double& v : ragged.x) v = v == v ? v : 9.0;
    auto keep =
        *rc::gen::container<std::vector<int>>(static_cast<std::size_t>(ragged.segments()), rc::gen::inRange(0, 2));
    auto selection = select_segments(ragged.backend, ragged.offsets, std::span(keep));
    std::vector<double> gathered(static_cast<std::size_t>(selection.elements()));
    gather_segments(ragged.backend, ragged.offsets, selection, std::span(ragged.x), std::span(gathered));
    std::vector<std::int64_t> segments, offsets{0};
    std::vector<double> plain;
    for (std::int64_t s = 0; s < ragged.segments(); ++s) {
        if (!keep[s]) continue;
        segments.push_back(s);
        for (std::int64_t i = ragged.offsets[s]; i < ragged.offsets[s + 1]; ++i) plain.push_back(ragged.x[i]);
        offsets.push_back(static_cast<std::int64_t>(plain.size()));
    }
    RC_ASSERT(selection.segments == segments);
    RC_ASSERT(selection.offsets == offsets);
    RC_ASSERT(gathered == plain);
}

TEST(Select, AHugeSelection) {
    backend::Host backend;
    std::vector<std::uint8_t> keep(3'000'000);
    std::vector<std::int64_t> plain;
    for (std::size_t i = 0; i < keep.size(); ++i)
        if ((keep[i] = i * i % 7 == 1)) plain.push_back(static_cast<std::int64_t>(i));
    EXPECT_EQ(selected_indices(backend, std::span(keep)), plain);
    std::vector<std::uint8_t> nobody(5, 0);
    EXPECT_TRUE(selected_indices(backend, std::span(nobody)).empty());
    EXPECT_TRUE(selected_indices(backend, std::span<std::uint8_t>()).empty());
    std::vector<std::uint8_t> gathered(plain.size());
    gather(backend, std::span(keep), std::span(plain), std::span(gathered));
    EXPECT_EQ(gathered, std::vector<std::uint8_t>(plain.size(), 1));
}

TEST(Select, SegmentsMayRepeatButMustExist) {
    std::vector<std::int64_t> offsets{0, 2, 2, 5};
    auto twice = select_segments(offsets, {2, 0, 2});
    EXPECT_EQ(twice.offsets, (std::vector<std::int64_t>{0, 3, 5, 8}));
    EXPECT_THROW(select_segments(offsets, {3}), Error);
    EXPECT_THROW(select_segments(offsets, {-1}), Error);
}

}  // namespace
}  // namespace roars::select_test
