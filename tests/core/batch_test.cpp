#include "roars/batch.hpp"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <numeric>
#include <random>
#include <string>
#include <vector>

namespace roars::batch_test {
namespace {

using Values = std::vector<std::int64_t>;

/// Everything that a batch can hold: tokens, turns, sequences, groups, whole numbers, a wide column.
using Full = Batch<double, columns<col::groups, col::turns, col::turn_owner, col::token, col::logp, col::turn_reward,
                                   col::reward, col::q>>;

struct Numbers {
    std::mt19937 engine;
    std::int64_t operator()(std::int64_t low, std::int64_t high) {
        return std::uniform_int_distribution<std::int64_t>(low, high)(engine);
    }
    Values offsets(std::int64_t count, std::int64_t longest) {
        Values offsets{0};
        for (std::int64_t i = 0; i < count; ++i) offsets.push_back(offsets.back() + (*this)(0, longest));
        return offsets;
    }
};

/// Ragged, with empty groups, sequences and turns; every value is another number.
Full random_full(Numbers& draw, std::int64_t width = 3) {
    Values groups = draw.offsets(draw(0, 5), 3), owner = draw.offsets(groups.back(), 3);
    Values turns = draw.offsets(owner.back(), 4), tokens;
    for (auto turn : owner) tokens.push_back(turns[std::size_t(turn)]);
    Full batch(tokens, groups);
    batch.set_offsets(col::turns{}, turns);
    batch.set_offsets(col::turn_owner{}, owner);
    batch.set_width(col::q{}, width);
    double next = 1;
    auto fill = [&](auto values) {
        for (auto& value : values) value = static_cast<typename decltype(values)::value_type>(next++);
    };
    fill(batch[col::token{}]), fill(batch[col::logp{}]), fill(batch[col::turn_reward{}]), fill(batch[col::reward{}]),
        fill(batch[col::q{}]);
    return batch;
}

template <class Span>
auto copy(Span span) {
    return std::vector<typename Span::value_type>(span.begin(), span.end());
}
template <class BatchType>
void expect_same(const BatchType& a, const BatchType& b) {
    EXPECT_EQ(copy(a.token_offsets()), copy(b.token_offsets()));
    for_each_column(typename BatchType::Columns{},
                    [&](auto column) { EXPECT_EQ(copy(a[column]), copy(b[column])) << column.name; });
}

template <class Action>
std::string error_of(Action&& action) {
    try {
        action();
    } catch (const Error& error) {
        return error.what();
    }
    return "no error";
}

RC_GTEST_PROP(Batch, CutAnywhereAndPutTogetherIsTheSame, (unsigned seed)) {
    Numbers draw{std::mt19937(seed)};
    Full batch = random_full(draw), joined;
    joined.set_width(col::q{}, 3);
    for (std::int64_t first = 0; first < batch.groups();) {
        std::int64_t last = draw(first + 1, batch.groups());
        joined.append(batch.slice_groups(first, last));
        first = last;
    }
    if (batch.groups() > 0) expect_same(joined, batch);
    RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(Batch, SelectedGroupsAreTheirSlices, (unsigned seed)) {
    Numbers draw{std::mt19937(seed)};
    Full batch = random_full(draw), expected;
    std::vector<char> keep;
    for (std::int64_t g = 0; g < batch.groups(); ++g) {
        keep.push_back(char(draw(0, 1)));
        if (keep.back()) expected.append(batch.slice_groups(g, g + 1));
    }
    expect_same(batch.select_groups(keep), expected);
    RC_ASSERT(!::testing::Test::HasFailure());
}

RC_GTEST_PROP(Batch, SequencesKeepTheirTurnsAndTokens, (unsigned seed)) {
    Numbers draw{std::mt19937(seed)};
    Full batch = random_full(draw);
    for (std::int64_t i = 0; i < batch.sequences(); ++i) {
        Full one = batch.slice_sequences(i, i + 1);
        auto at = std::size_t(i);
        Offsets tokens = batch.token_offsets(), owner = batch[col::turn_owner{}], turns = batch[col::turns{}];
        RC_ASSERT(one.tokens() == tokens[at + 1] - tokens[at]);
        RC_ASSERT(one[col::reward{}][0] == batch[col::reward{}][at]);
        RC_ASSERT(one.turns() == owner[at + 1] - owner[at]);
        for (std::int64_t k = 0; k < one.turns(); ++k) {
            auto turn = std::size_t(owner[at] + k);
            RC_ASSERT(one[col::turn_reward{}][std::size_t(k)] == batch[col::turn_reward{}][turn]);
            RC_ASSERT(one[col::turns{}][std::size_t(k)] + tokens[at] == turns[turn]);
        }
        for (std::int64_t t = 0; t < one.tokens(); ++t) {
            auto row = one.row(col::q{}, t), whole = batch.row(col::q{}, tokens[at] + t);
            RC_ASSERT(copy(row) == copy(whole));
        }
    }
}

TEST(Batch, AppendsItself) {
    Numbers draw{std::mt19937(3)};
    Full batch = random_full(draw), twice = batch, expected = batch;
    expected.append(batch);
    twice.append(twice);
    expect_same(twice, expected);
    EXPECT_EQ(twice.tokens(), 2 * batch.tokens());
}

TEST(Batch, OfNothing) {
    Full none;
    EXPECT_EQ(none.tokens() + none.sequences() + none.groups() + none.turns() + none.units(), 0);
    EXPECT_TRUE(none[col::logp{}].empty());
    none.append(Full());
    EXPECT_EQ(none.sequences(), 0);
    EXPECT_EQ(none.select_groups({}).sequences(), 0);
    EXPECT_EQ((Batch<float, columns<col::logp>>(Values{0}).slice_sequences(0, 0).tokens()), 0);
}

TEST(Batch, AWidthComesWithTheRowsAndDoesNotGetLost) {
    using Wide = Batch<float, columns<col::q>>;
    Wide rows(Values{0, 2}), collected;
    rows.set_width(col::q{}, 4);
    std::iota(rows[col::q{}].begin(), rows[col::q{}].end(), 0.0f);
    collected.append(Wide());
    collected.append(rows);
    collected.append(Wide());
    collected.append(rows);
    EXPECT_EQ(collected.width(col::q{}), 4);
    EXPECT_EQ(collected.row(col::q{}, 3)[0], 4.0f);
    Wide narrow(Values{0, 1});
    EXPECT_EQ(error_of([&] { collected.append(narrow); }), "q: rows of 1 values cannot be put behind rows of 4");
}

TEST(Batch, BorrowedColumnsAreTheCallersMemory) {
    std::vector<float> logp{1, 2, 3};
    const std::vector<float> reward{5, 6};
    auto batch = view<float>(Values{0, 1, 3})
                     .borrow(col::logp{}, logp)
                     .borrow(col::reward{}, reward)
                     .with(columns<col::advantage>{});
    static_assert(std::is_same_v<decltype(batch[col::logp{}]), std::span<float>>);
    static_assert(std::is_same_v<decltype(batch[col::reward{}]), std::span<const float>>);
    batch[col::logp{}][1] = 7;
    EXPECT_EQ(logp[1], 7);
    EXPECT_EQ(batch[col::reward{}].data(), reward.data());
    EXPECT_EQ(batch[col::advantage{}].size(), 3u);

    auto piece = batch.slice_sequences(1, 2);
    EXPECT_EQ(piece[col::logp{}].data(), logp.data() + 1);
    EXPECT_EQ(piece[col::reward{}].data(), reward.data() + 1);
    EXPECT_EQ(piece[col::advantage{}].size(), 2u);
    piece[col::logp{}][1] = 9;
    EXPECT_EQ(logp[2], 9);

    const std::vector<float> states{1, 2, 3, 4, 5, 6};
    auto wide = view<float>(Values{0, 3}).borrow(col::q{}, states, 2);
    EXPECT_EQ(wide.row(col::q{}, 2)[1], 6);
    EXPECT_EQ(wide.slice_sequences(0, 1).row(col::q{}, 1)[0], 3);
}

TEST(Batch, ErrorsSayWhatWasExpected) {
    using Plain = Batch<float, columns<col::logp, col::groups, col::turns, col::turn_owner>>;
    EXPECT_EQ(error_of([] { Plain(Values{}); }), "token_offsets: expected a first offset of 0");
    EXPECT_EQ(error_of([] { Plain(Values{1, 2}); }), "token_offsets: expected a first offset of 0");
    EXPECT_EQ(error_of([] {
                  Plain(Values{0, 3, 2});
              }),
              "token_offsets: offset 2 is 2, expected at least the one before it, 3");
    EXPECT_EQ(error_of([] {
                  Plain(Values{0, 3}, Values{0, 2});
              }),
              "groups: the last offset is 2, expected the number of sequences, 1");
    EXPECT_EQ(error_of([] { Plain(Values{0, 3}, Values{}); }), "groups: expected a first offset of 0");
    Plain batch(Values{0, 3, 5}, Values{0, 2});
    EXPECT_EQ(error_of([&] {
                  batch.set_offsets(col::turns{}, Values{0, 4});
              }),
              "turns: the last offset is 4, expected the number of tokens, 5");
    batch.set_offsets(col::turns{}, Values{0, 2, 5});
    EXPECT_EQ(error_of([&] {
                  batch.set_offsets(col::turn_owner{}, Values{0, 2});
              }),
              "turn_owner: has 2 offsets, expected 3, those of the sequences");
    EXPECT_EQ(error_of([&] {
                  batch.set_offsets(col::turn_owner{}, Values{0, 1, 2});
              }),
              "turn_owner: the turns of sequence 1 begin at token 2, expected its own first token, 3");
    EXPECT_EQ(error_of([&] { batch.slice_groups(0, 2); }), "slice_groups: [0, 2), expected a range within [0, 1)");
    EXPECT_EQ(error_of([&] { batch.slice_sequences(2, 1); }),
              "slice_sequences: [2, 1), expected a range within [0, 2)");
    EXPECT_EQ(error_of([&] { batch.select_groups(std::vector<char>(3)); }),
              "select_groups: 3 flags, expected one for each of 1 groups");
    std::vector<float> four(4);
    EXPECT_EQ(error_of([&] { view<float>(Values{0, 3}).borrow(col::logp{}, four); }), "logp: has 4 values, expected 3");
    EXPECT_EQ(error_of([&] { view<float>(Values{0, 3}).borrow(col::q{}, four, 2); }), "q: has 4 values, expected 6");
}

/// Offsets have 64 bits: three sequences of 3 10^9 tokens, of which no column is held.
TEST(Batch, HoldsMoreTokensThanThirtyTwoBitsCount) {
    const std::int64_t many = 3'000'000'000;
    Batch<float, columns<col::groups, col::reward>> batch(Values{0, many, 2 * many, 3 * many}, Values{0, 1, 3});
    EXPECT_EQ(batch.tokens(), 3 * many);
    auto last = batch.slice_groups(1, 2);
    EXPECT_EQ(copy(last.token_offsets()), (Values{0, many, 2 * many}));
    batch.append(last);
    EXPECT_EQ(batch.tokens(), 5 * many);
    EXPECT_EQ(copy(batch[col::groups{}]), (Values{0, 1, 3, 5}));
}

TEST(Batch, IsFilledAgainInTheSameMemory) {
    using Wide = Batch<float, columns<col::state, col::token_reward, col::outcome>>;
    const std::int64_t large[] = {0, 3, 5}, small[] = {0, 2}, wrong[] = {0, 2, 1};
    Wide batch{Offsets(large)};
    batch.set_width(col::state{}, 2);
    const float* memory = batch[col::state{}].data();
    batch.reshape(small);
    EXPECT_EQ(batch.tokens(), 2);
    EXPECT_EQ(batch[col::state{}].size(), 4u);
    EXPECT_EQ(batch[col::outcome{}].size(), 1u);
    batch.reshape(large);
    EXPECT_EQ(batch[col::state{}].size(), 10u);
    EXPECT_EQ(batch[col::state{}].data(), memory);
    EXPECT_THROW(batch.reshape(wrong), Error);
}

TEST(Batch, GathersTokensInAnyOrder) {
    using Wide = Batch<float, columns<col::state, col::token_reward, col::outcome>>;
    const std::int64_t offsets[] = {0, 3, 5};
    Wide batch{Offsets(offsets)};
    batch.set_width(col::state{}, 2);
    for (std::size_t i = 0; i < 10; ++i) batch[col::state{}][i] = float(i);
    for (std::size_t i = 0; i < 5; ++i) batch[col::token_reward{}][i] = float(100 + i);
    const std::int64_t tokens[] = {4, 0, 4};
    Wide picked;
    picked.gather_tokens(batch, tokens);
    EXPECT_EQ(picked.tokens(), 3);
    EXPECT_EQ(picked.sequences(), 1);
    EXPECT_EQ(std::vector<float>(picked[col::state{}].begin(), picked[col::state{}].end()),
              (std::vector<float>{8, 9, 0, 1, 8, 9}));
    EXPECT_EQ(std::vector<float>(picked[col::token_reward{}].begin(), picked[col::token_reward{}].end()),
              (std::vector<float>{104, 100, 104}));
    picked.gather_tokens(batch, {});
    EXPECT_EQ(picked.tokens(), 0);
}

}  // namespace
}  // namespace roars::batch_test
