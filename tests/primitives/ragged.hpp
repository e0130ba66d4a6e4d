#pragma once

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <cstdint>
#include <cstring>
#include <numeric>
#include <span>
#include <vector>

#if defined(_OPENMP)
#include <omp.h>
#endif

#include "../limits.hpp"
#include "roars/backend.hpp"

/// What the tests of the primitives share: ragged data, and runs on one and on two threads.
namespace roars {
namespace {

/// Segments of random lengths, empty ones among them, some longer than the grain of `backend`; with NaN wherever the
/// mask is 0. `origin` elements before the first segment belong to none.
template <class Real>
struct Ragged {
    roars::backend::Host backend;
    std::vector<std::int64_t> offsets;
    std::vector<Real> x;
    std::vector<std::uint8_t> mask;

    std::int64_t segments() const { return static_cast<std::int64_t>(offsets.size()) - 1; }
    std::vector<Real> selected(std::int64_t segment) const {
        std::vector<Real> values;
        for (std::int64_t i = offsets[segment]; i < offsets[segment + 1]; ++i)
            if (mask[i]) values.push_back(x[i]);
        return values;
    }
};

template <class Real>
Ragged<Real> any_ragged() {
    Ragged<Real> ragged;
    ragged.backend.grain = *rc::gen::inRange<std::int64_t>(1, 12);
    ragged.offsets = {*rc::gen::inRange<std::int64_t>(0, 30)};
    auto lengths = *rc::gen::container<std::vector<std::int64_t>>(
        rc::gen::weightedOneOf<std::int64_t>({{3, rc::gen::just<std::int64_t>(0)},
                                              {6, rc::gen::inRange<std::int64_t>(1, 10)},
                                              {1, rc::gen::inRange<std::int64_t>(10, 90)}}));
    for (std::int64_t length : lengths) ragged.offsets.push_back(ragged.offsets.back() + length);
    auto elements = static_cast<std::size_t>(ragged.offsets.back());
    // Few values, so that equal ones are common.
    auto values = *rc::gen::container<std::vector<int>>(elements, rc::gen::inRange(-40, 41));
    auto flags = *rc::gen::container<std::vector<int>>(elements, rc::gen::inRange(0, 4));
    for (std::size_t i = 0; i < elements; ++i) {
        ragged.mask.push_back(flags[i] > 0);
        ragged.x.push_back(flags[i] > 0 ? static_cast<Real>(0.1 * values[i]) : static_cast<Real>(nan));
    }
    return ragged;
}

/// Three million elements: an empty segment, a short one, a huge one, many short ones.
inline Ragged<float> huge_ragged() {
    Ragged<float> ragged;
    ragged.offsets = {0, 0, 5, 2'500'000};
    while (ragged.offsets.back() < 3'000'000)
        ragged.offsets.push_back(std::min<std::int64_t>(3'000'000, ragged.offsets.back() + ragged.offsets.size() % 97));
    std::uint32_t state = 1;
    for (int i = 0; i < 3'000'000; ++i) {
        state = state * 1664525u + 1013904223u;
        ragged.mask.push_back(state >> 30 != 0);
        ragged.x.push_back(ragged.mask.back() ? static_cast<float>(state >> 8) * 1e-6f - 8.0f
                                              : std::numeric_limits<float>::quiet_NaN());
    }
    return ragged;
}

template <class Action>
auto with_threads([[maybe_unused]] int threads, Action&& action) {
#if defined(_OPENMP)
    int before = omp_get_max_threads();
    omp_set_num_threads(threads);
    auto result = action();
    omp_set_num_threads(before);
    return result;
#else
    return action();
#endif
}

/// The vector that action gives is the same, bit for bit, on one, two and five threads.
template <class Action>
bool same_on_any_threads(Action&& action) {
    auto one = with_threads(1, action);
    for (int threads : {2, 5}) {
        auto many = with_threads(threads, action);
        if (one.size() != many.size() || std::memcmp(one.data(), many.data(), one.size() * sizeof(one[0])) != 0)
            return false;
    }
    return true;
}

}  // namespace
}  // namespace roars
