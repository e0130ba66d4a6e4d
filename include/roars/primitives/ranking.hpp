#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <numeric>
#include <string>
#include <utility>
#include <vector>

#include "roars/backend.hpp"
#include "roars/error.hpp"
#include "roars/primitives/kept_memory.hpp"
#include "roars/primitives/sort.hpp"

namespace roars {

/// What stands at a place of a row of numbers in ascending order.
struct Ranked {
    double value = 0.0;
    double next = 0.0;       ///< at the place behind it; at the last place `value`
    std::int64_t below = 0;  ///< numbers less than it
    std::int64_t equal = 0;  ///< numbers like it, itself among them
};

/// Values in ascending order, NaN last: value order[p] comes to place p.
struct InOrder {
    const double* values;
    const std::int64_t* order;
    std::int64_t size;

    ROARS_FN double operator[](std::int64_t place) const { return values[order[place]]; }
    /// How many are numbers; and less than x; and not greater.
    ROARS_FN std::int64_t numbers() const {
        return detail::end_of(0, size, [&](std::int64_t p) { return (*this)[p] == (*this)[p]; });
    }
    ROARS_FN std::int64_t below(double x) const {
        return detail::end_of(0, size, [&](std::int64_t p) { return (*this)[p] < x; });
    }
    ROARS_FN std::int64_t through(double x) const {
        return detail::end_of(0, size, [&](std::int64_t p) { return (*this)[p] <= x; });
    }
};
/// What stands where in ascending order, of value(i) for i in [0, count), without a sort: numbers are counted by the
/// leading bits of their float, which are in order as the numbers are, and only those that share the place's bits are
/// looked at one by one. A value that is NaN is not there.
template <class Value>
class Ranking {
public:
    Ranking(backend::Host& backend, std::int64_t count, const Value& value)
        : backend_(backend), count_(count), value_(value), parts_(std::clamp<std::int64_t>(count / (1 << 18), 1, 16)) {
        if (count_ <= few) {
            found_.reserve(static_cast<std::size_t>(count_));
            for (std::int64_t i = 0; i < count_; ++i)
                if (double x = value_(i); x == x) found_.push_back(x);
            numbers_ = std::ssize(found_);
            return;
        }
        counts_.assign(buckets, 0);
        std::vector<KeptVector<std::uint32_t>> of_part(static_cast<std::size_t>(parts_));
        parallel_for(backend_, parts_, [&](std::int64_t part) {
            auto& counts = of_part[static_cast<std::size_t>(part)];
            counts.assign(buckets, 0);
            for_each_block(part, [&](const Block& block) {
                for (std::size_t j = 0; j < block.used; ++j) ++counts[block.bucket[j]];
            });
        });
        for (const auto& counts : of_part)
            for (std::size_t bucket = 0; bucket < buckets; ++bucket) counts_[bucket] += counts[bucket];
        numbers_ = std::accumulate(counts_.begin() + lowest, counts_.begin() + highest + 1, std::int64_t(0));
    }

    /// The values that are numbers.
    std::int64_t size() const { return numbers_; }

    /// Errors: a place outside [0, size()).
    Ranked at(std::int64_t place) const {
        expect(place >= 0 && place < numbers_, [&] {
            return "place " + std::to_string(place) + " of " + std::to_string(numbers_) + " numbers in order";
        });
        if (count_ <= few) return among(found_, place, 0);
        std::int64_t before = 0;
        std::size_t bucket = lowest;
        while (before + counts_[bucket] <= place) before += counts_[bucket++];
        std::size_t last = bucket;  // the next number may be in another bucket
        if (before + counts_[bucket] == place + 1 && place + 1 < numbers_) do
                ++last;
            while (counts_[last] == 0);
        return among(in_buckets(bucket, last), place - before, before);
    }

private:
    static constexpr std::int64_t few = 1 << 12;
    static constexpr std::size_t buckets = 1 << 16, lowest = 0x0040, highest = 0xffbf;
    /// Some values and their buckets.
    struct Block {
        static constexpr std::int64_t size = 512;
        std::array<double, size> value;
        std::array<std::uint32_t, size> bucket;
        std::size_t used;
    };

    /// A NaN's is beyond those of both infinities, on the side of its sign.
    static std::uint32_t bucket_of(double x) {
        auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(x + 0.0));  // -0 and 0 are equal
        auto sign = static_cast<std::uint32_t>(static_cast<std::int32_t>(bits) >> 31);
        return (bits ^ (sign | 0x80000000u)) >> 16;
    }
    /// What stands at a place of some numbers, behind `before` others.
    static Ranked among(KeptVector<double> found, std::int64_t place, std::int64_t before) {
        auto at = found.begin() + place;
        std::nth_element(found.begin(), at, found.end());
        Ranked ranked{*at, *at, before, 0};
        if (at + 1 != found.end()) ranked.next = *std::min_element(at + 1, found.end());
        ranked.below += std::count_if(found.begin(), at, [&](double x) { return x < ranked.value; });
        ranked.equal = std::count(found.begin(), found.end(), ranked.value);
        return ranked;
    }
    template <class Use>
    void for_each_block(std::int64_t part, Use&& use) const {
        std::int64_t end = count_ * (part + 1) / parts_;
        const Value value = value_;
        Block block;
        for (std::int64_t begin = count_ * part / parts_; begin < end; begin += Block::size) {
            const auto used = static_cast<std::size_t>(std::min(Block::size, end - begin));
            for (std::size_t j = 0; j < used; ++j) block.value[j] = value(begin + static_cast<std::int64_t>(j));
            for (std::size_t j = 0; j < used; ++j) block.bucket[j] = bucket_of(block.value[j]);
            block.used = used;
            use(block);
        }
    }
    KeptVector<double> in_buckets(std::size_t first, std::size_t last) const {
        std::vector<KeptVector<double>> of_part(static_cast<std::size_t>(parts_));
        parallel_for(backend_, parts_, [&](std::int64_t part) {
            auto& found = of_part[static_cast<std::size_t>(part)];
            for_each_block(part, [&](const Block& block) {
                for (std::size_t j = 0; j < block.used; ++j)
                    if (block.bucket[j] == first || block.bucket[j] == last) found.push_back(block.value[j]);
            });
        });
        KeptVector<double> all = std::move(of_part[0]);
        for (std::size_t part = 1; part < of_part.size(); ++part)
            all.insert(all.end(), of_part[part].begin(), of_part[part].end());
        return all;
    }

    backend::Host& backend_;
    std::int64_t count_;
    Value value_;
    std::int64_t parts_, numbers_ = 0;
    KeptVector<std::int64_t> counts_;
    KeptVector<double> found_;  ///< all, where they are few
};

}  // namespace roars
