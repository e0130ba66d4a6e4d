#pragma once

#include <tuple>

#include "roars/algorithm.hpp"
#include "roars/pack.hpp"

namespace roars::detail {

template <class... Part>
using shaping_gives = unite_t<std::conditional_t<ShapesReward<Part>, gives_of<Part>, columns<>>...>;
template <class... Part>
using shaping_needs = unite_t<std::conditional_t<ShapesReward<Part>, needs_of<Part>, columns<>>...>;

}  // namespace roars::detail

namespace roars::regularizer {

/// Several regularizers: each shapes the reward or adds its terms to the loss, in order.
template <RegularizerPart... Part>
struct Sum : Pack<Part...> {
    using Pack<Part...>::Pack;
    using needs = roars::detail::shaping_needs<Part...>;
    using gives = roars::detail::shaping_gives<Part...>;
    using acts_on = unite_t<columns<>, typename roars::detail::acts_on<Part>::type...>;
    using State = Pack<state_of<Part>...>;
    static constexpr bool everywhere = (roars::detail::shapes_everywhere<Part> && ...);

    template <class RunType, class BatchType>
    void shape(RunType& run, State& state, BatchType& batch) const requires(ShapesReward<Part> || ...) {
        apply(*this, [&](const Part&... part) {
            apply(state, [&](auto&... own) { (roars::detail::call_shape(part, run, own, batch), ...); });
        });
    }
    template <class RunType, class BatchType>
    void on_dataset(RunType& run, State& state, const BatchType& data) const
        requires(roars::detail::WatchesDataset<Part> || ...) {
        apply(*this, [&](const Part&... part) {
            apply(state, [&](auto&... own) { (roars::detail::call_on_dataset(part, run, own, data), ...); });
        });
    }
    /// The result of an update goes to every part that wants it.
    template <class RunType, class ResultType>
    void observe(RunType& run, State& state, const ResultType& result) const {
        apply(*this, [&](const Part&... part) {
            apply(state, [&](auto&... own) { (roars::detail::call_observe(part, run, own, result), ...); });
        });
    }
    template <class RunType>
    Reset after_iteration(RunType& run, State& state) const {
        Reset reset;
        apply(*this, [&](const Part&... part) {
            apply(state, [&](auto&... own) { ((reset |= roars::detail::call_after_iteration(part, run, own)), ...); });
        });
        return reset;
    }
    template <class RunType>
    Reset after_evaluation(RunType& run, State& state, double score) const {
        Reset reset;
        apply(*this, [&](const Part&... part) {
            apply(state,
                  [&](auto&... own) { ((reset |= roars::detail::call_after_evaluation(part, run, own, score)), ...); });
        });
        return reset;
    }
    auto terms(const State& state) const {
        return apply(*this, [&](const Part&... part) {
            return apply(state,
                         [&](const auto&... own) { return std::tuple_cat(roars::detail::terms_of(part, own)...); });
        });
    }
};

}  // namespace roars::regularizer
