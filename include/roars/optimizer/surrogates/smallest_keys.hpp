#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <unordered_map>

#include "roars/everywhere.hpp"
#include "roars/primitives/ranking.hpp"

/// The `count` smallest of all keys, of equal ones the first: which tokens of a micro-batch are among them. The tokens
/// of equal sequences, whose marks are equal, cannot be told apart: if some of them are taken, each is taken in that
/// share. A key that is NaN is none. The host counts (SmallestKeys), a device sorts (RankedKeys).
namespace roars::detail {

/// Where the taken keys end.
struct KeyCut {
    double taken_below = -std::numeric_limits<double>::infinity();
    double tie = std::numeric_limits<double>::quiet_NaN();  ///< the key of which not all are taken

    /// `taken` of `equal` keys that are `last`, the largest one that is taken.
    ROARS_FN static KeyCut at(double last, std::int64_t taken, std::int64_t equal) {
        if (taken < equal) return {last, last};
        return {std::nextafter(last, std::numeric_limits<double>::infinity()),
                std::numeric_limits<double>::quiet_NaN()};
    }
    /// Whether a key is taken whatever its mark; and whether its mark decides.
    ROARS_FN bool takes(double key) const { return key < taken_below; }
    ROARS_FN bool asks(double key) const { return key == tie; }
};

/// On the host, without a sort.
class SmallestKeys {
public:
    SmallestKeys() = default;
    /// share(number of keys) of key(j) for j in [0, keys); mark(j) is asked in order, and only where keys are equal.
    template <class Key, class Mark, class Share>
    SmallestKeys(backend::Host& backend, std::int64_t keys, const Key& key, Mark&& mark, const Share& share) {
        Ranking ranking(backend, keys, key);
        std::int64_t count = std::min(share(ranking.size()), ranking.size());
        if (count <= 0) return;
        Ranked last = ranking.at(count - 1);
        std::int64_t ties = count - last.below;
        cut_ = KeyCut::at(last.value, ties, last.equal);
        if (ties == last.equal) return;
        for (std::int64_t j = 0; j < keys; ++j)
            if (cut_.asks(key(j))) {
                auto& [taken, all] = tied_[mark(j)];
                ++all;
                if (ties-- > 0) ++taken;
            }
    }
    bool takes(double key) const { return cut_.takes(key); }
    bool asks(double key) const { return cut_.asks(key); }
    /// In what share a token is whose mark decides.
    double share(std::uint64_t mark) const {
        auto found = tied_.find(mark);
        return found == tied_.end() ? 0.0 : double(found->second.taken) / double(found->second.all);
    }

private:
    struct Tied {
        std::int64_t taken = 0, all = 0;
    };
    KeyCut cut_;
    std::unordered_map<std::uint64_t, Tied> tied_;
};

/// The cut, where in order the keys are that are like the last one taken, and how many are taken of how many.
struct RankedCut {
    KeyCut cut;
    std::int64_t below = 0, through = 0, taken = 0, numbers = 0;
};
template <class Share>
struct FindCut {
    InOrder keys;
    Share share;
    RankedCut* to;
    ROARS_FN void operator()(std::int64_t) const {
        RankedCut found;
        const std::int64_t numbers = keys.numbers(), wanted = share(numbers);
        found.numbers = numbers;
        found.taken = wanted < numbers ? wanted : numbers;
        if (found.taken > 0) {
            double last = keys[found.taken - 1];
            found.below = keys.below(last);
            found.through = keys.through(last);
            found.cut = KeyCut::at(last, found.taken - found.below, found.through - found.below);
        }
        *to = found;
    }
};
/// The marks of the equal keys by their places, and more than any of them at the other places.
struct MarkTies {
    const std::uint64_t* marks;
    const std::int64_t* order;
    const RankedCut* found;
    std::uint64_t* to;
    ROARS_FN static std::uint64_t short_of(std::uint64_t mark) { return mark >> 1; }
    ROARS_FN void operator()(std::int64_t place) const {
        bool tied = found->below <= place && place < found->through;
        to[place] = tied ? short_of(marks[order[place]]) : ~std::uint64_t{0};
    }
};

/// The same in the memory of any backend, which sorts the keys and then the marks of the equal ones. What is done does
/// not depend on what the keys are.
template <class B>
class RankedKeys {
    template <class T>
    using Scratch = typename Everywhere<B>::template Scratch<T>;

public:
    /// share(number of keys), a ROARS_FN function, of keys [count] with their marks.
    template <class Share>
    RankedKeys(B& backend, const double* keys, const std::uint64_t* marks, std::int64_t count, const Share& share)
        : count_(count), found_(backend, 1), marks_(backend, count), places_(backend, count) {
        using Here = Everywhere<B>;
        Scratch<std::int64_t> order(backend, count);
        Here::argsort(backend, keys, count, order.data());
        Here::for_each(backend, 1, FindCut<Share>{{keys, order.data(), count}, share, found_.data()});
        Here::for_each(backend, count, MarkTies{marks, order.data(), found_.data(), marks_.data()});
        Here::argsort(backend, static_cast<const std::uint64_t*>(marks_.data()), count, places_.data());
    }

    /// What a kernel reads of it.
    struct View {
        const RankedCut* found;
        const std::uint64_t* marks;  ///< by place in the order of the keys
        const std::int64_t* places;  ///< in the order of the marks; of equal ones as they come
        std::int64_t count;

        /// In what share a token of this key and mark is taken.
        ROARS_FN double share(double key, std::uint64_t mark) const {
            if (found->cut.takes(key)) return 1.0;
            if (!found->cut.asks(key)) return 0.0;
            mark = MarkTies::short_of(mark);
            std::int64_t begin = end_of(0, count, [&](std::int64_t j) { return marks[places[j]] < mark; });
            std::int64_t end = end_of(begin, count, [&](std::int64_t j) { return marks[places[j]] == mark; });
            std::int64_t taken = end_of(begin, end, [&](std::int64_t j) { return places[j] < found->taken; });
            return end > begin ? double(taken - begin) / double(end - begin) : 0.0;
        }
    };
    View view() { return {found_.data(), marks_.data(), places_.data(), count_}; }

private:
    std::int64_t count_;
    Scratch<RankedCut> found_;
    Scratch<std::uint64_t> marks_;
    Scratch<std::int64_t> places_;
};

}  // namespace roars::detail
