#include "roars/primitives/product.hpp"

#include <cstdint>
#include <vector>

#include <gtest/gtest.h>

#include "roars/random.hpp"

namespace roars::product_test {
namespace {

template <class Real>
std::vector<Real> normal_numbers(std::int64_t count, std::uint64_t seed) {
    std::vector<Real> numbers(static_cast<std::size_t>(count));
    fill_normal(Random(seed), 0, std::span<Real>(numbers));
    return numbers;
}

/// Every height and width of tile, with either operand turned, against three loops.
template <class Real>
void check_all_sizes(double tolerance) {
    const std::int64_t lanes = matrix::padded<Real>(1);
    for (std::int64_t rows : {1, 2, 3, 5, 6, 7, 8, 13})
        for (std::int64_t vectors : {1, 2, 3, 4, 5, 7})
            for (std::int64_t depth : {0, 1, 9}) {
                const std::int64_t columns = vectors * lanes;
                auto left = normal_numbers<Real>(rows * depth, 1), right = normal_numbers<Real>(depth * columns, 2),
                     start = normal_numbers<Real>(columns, 3), target = normal_numbers<Real>(rows * columns, 4);
                for (bool turned : {false, true}) {
                    matrix::Strided<Real> strided{left.data(), turned ? 1 : depth, turned ? rows : 1};
                    auto plain = target, set = target, added = target;
                    matrix::product<false, Real>(rows, columns, depth, strided, right.data(), columns, set.data(),
                                                 columns, start.data());
                    matrix::product<true, Real>(rows, columns, depth, strided, right.data(), columns, added.data(),
                                                columns);
                    for (std::int64_t i = 0; i < rows; ++i)
                        for (std::int64_t j = 0; j < columns; ++j) {
                            double sum = 0;
                            for (std::int64_t k = 0; k < depth; ++k)
                                sum += double(left[std::size_t(i * strided.row + k * strided.column)]) *
                                       double(right[std::size_t(k * columns + j)]);
                            auto at = std::size_t(i * columns + j);
                            ASSERT_NEAR(double(set[at]), sum + double(start[std::size_t(j)]), tolerance);
                            ASSERT_NEAR(double(added[at]), sum + double(target[at]), tolerance);
                        }
                }
            }
}

TEST(Product, EqualsThreeLoops) {
    check_all_sizes<double>(1e-13);
    check_all_sizes<float>(1e-5);
}

TEST(Product, ARowIsTheSameAmongOthersAndAlone) {
    const std::int64_t columns = 4 * matrix::padded<float>(1), depth = 21, rows = 11;
    auto left = normal_numbers<float>(rows * depth, 1), right = normal_numbers<float>(depth * columns, 2);
    std::vector<float> together(std::size_t(rows * columns)), alone(static_cast<std::size_t>(columns));
    matrix::product<false, float>(rows, columns, depth, {left.data(), depth, 1}, right.data(), columns, together.data(),
                                  columns);
    for (std::int64_t r = 0; r < rows; ++r) {
        matrix::product<false, float>(1, columns, depth, {left.data() + r * depth, depth, 1}, right.data(), columns,
                                      alone.data(), columns);
        for (std::int64_t j = 0; j < columns; ++j)
            ASSERT_EQ(alone[std::size_t(j)], together[std::size_t(r * columns + j)]);
    }
}

}  // namespace
}  // namespace roars::product_test
