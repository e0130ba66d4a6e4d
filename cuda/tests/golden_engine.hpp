#pragma once

#include <algorithm>
#include <cstdint>
#include <span>
#include <tuple>
#include <vector>

#include "engine.hpp"  // of programs/roars_golden
#include "roars/cuda/algorithm.hpp"
#include "roars/cuda/divergence.hpp"
#include "roars/cuda/step.hpp"
#if defined(__CUDACC__)
#include "roars/cuda/backend.cuh"
#include "roars/cuda/cub.cuh"
#else
#include "emulated.hpp"
#endif

/// Where the parts of a case run: here on a device, in double: the GPU if nvcc compiles it, else its emulation. What
/// has no kernel and does not run everywhere is the host's.
namespace roars::golden::engine {

#if defined(__CUDACC__)
using Device = backend::Cuda;
#else
using Device = gpu::EmulatedIn<gpu::Order::shuffled>;
#endif
inline Device& device() {
    static Device device;
    return device;
}
inline std::int64_t& count_of_calls() {
    static std::int64_t count = 0;
    return count;
}
/// Calls that a device has done.
inline std::int64_t calls_on_device() { return count_of_calls(); }

/// work(run, batch of the device), whose columns then come back. Returns what work does.
template <class BatchType, class Work>
auto there(BatchType& batch, Work&& work) {
    using Columns = typename BatchType::Columns;
    ++count_of_calls();
    Run run{device()};
    gpu::Batch<double, Columns, Device> copy(device(), batch);
    auto come_back = [&] {
        auto back = copy.download(Columns{});
        for_each_column(Columns{}, [&]<class Column>(Column column) {
            if constexpr (Column::kind != Kind::offsets) {
                if (batch.width(column) != back.width(column)) batch.set_width(column, back.width(column));
                std::copy(back[column].begin(), back[column].end(), batch[column].begin());
            }
        });
    };
    if constexpr (std::is_void_v<decltype(work(run, copy))>) {
        work(run, copy);
        come_back();
    } else {
        auto result = work(run, copy);
        come_back();
        return result;
    }
}

/// call(run, state, batch) as the host does it, on the device if the part runs there.
template <class Part, bool on_device, class BatchType, class Call>
void in_first_iteration(BatchType& batch, Call&& call) {
    if constexpr (on_device)
        there(batch, [&](auto& run, auto& copy) {
            state_of<Part> state{};
            call(run, state, copy);
        });
    else
        on_host::in_first_iteration<Part>(batch, call);
}
template <class Part, class BatchType>
void score(const Part& part, BatchType& batch) {
    in_first_iteration<Part, runs_everywhere<Part>>(batch,
                                                    [&](auto&... with) { roars::detail::call_score(part, with...); });
}
template <class Part, class BatchType>
void shape(const Part& part, BatchType& batch) {
    in_first_iteration<Part, roars::detail::shapes_everywhere<Part>>(
        batch, [&](auto&... with) { roars::detail::call_shape(part, with...); });
}
template <class Part, class BatchType>
void estimate(const Part& part, BatchType& batch) {
    in_first_iteration<Part, gpu::Estimate<Part>::on_device>(
        batch, [&](auto&... with) { roars::detail::call_estimate(part, with...); });
}

/// Terms that are no algorithm's.
template <class Aggregate, class... Term>
struct OnlyTerms {
    struct Optimizer {
        Aggregate aggregate;
    } optimizer;
    std::tuple<Term...> own;
    using Terms = std::tuple<Term...>;
    struct State {};
    static const Terms& terms(const OnlyTerms& all, const State&) { return all.own; }
};

template <class A, class BatchType>
auto objective(const A& algorithm, BatchType& batch, const typename A::State& state = {}) {
    return there(batch, [&](auto& run, auto& copy) {
        gpu::Objective objective(device(), algorithm);
        objective.count(run, state, copy);
        objective(run, state, copy);
        return objective.read(copy);
    });
}
template <class A, class BatchType>
auto loss(const A& algorithm, BatchType& batch) {
    return there(batch, [&](auto& run, auto& copy) {
        typename A::State state{};
        gpu::score(algorithm, run, state, copy);
        gpu::estimate(algorithm, run, state, copy);
        gpu::Objective objective(device(), algorithm);
        objective.count(run, state, copy);
        objective(run, state, copy);
        return objective.read(copy);
    });
}
template <class Whole, class BatchType, class Aggregate, class... Term>
auto terms_of(Whole& whole, BatchType& piece, const Aggregate& aggregate, const Term&... term) {
    const OnlyTerms<Aggregate, Term...> all{{aggregate}, {term...}};
    gpu::Objective objective(device(), all);
    there(whole, [&](auto& run, auto& copy) { objective.count(run, {}, copy); });
    return there(piece, [&](auto& run, auto& copy) {
        objective(run, {}, copy);
        return objective.read(copy);
    });
}
template <class BatchType, class Aggregate, class... Term>
auto terms(BatchType& batch, const Aggregate& aggregate, const Term&... term) {
    return objective(OnlyTerms<Aggregate, Term...>{{aggregate}, {term...}}, batch);
}

inline LogSoftmaxRows log_softmax(std::vector<double>& logits, std::int64_t vocabulary,
                                  const std::vector<std::int64_t>& token, double temperature,
                                  const std::vector<double>& grad_logp, const std::vector<double>& grad_entropy) {
    ++count_of_calls();
    auto put = [](const auto& values) {
        using T = typename std::remove_cvref_t<decltype(values)>::value_type;
        return gpu::Buffer<T, Device>(device(), std::span<const T>(values));
    };
    auto there = put(logits), by_logp = put(grad_logp), by_entropy = put(grad_entropy);
    auto tokens = put(std::vector<std::int32_t>(token.begin(), token.end()));
    const auto rows = std::ssize(token);
    gpu::Buffer<double, Device> logp(device(), rows), total(device(), rows), entropy(device(), rows),
        squares(device(), rows);
    gpu::Logits<double> all(there.data(), rows, vocabulary);
    selective_log_softmax(device(), all, tokens.data(), static_cast<const double*>(nullptr), temperature,
                          gpu::RowColumns<double>{logp.data(), total.data(), entropy.data(), squares.data()});
    selective_log_softmax_backward(
        device(), all, tokens.data(), temperature, total.data(), static_cast<const double*>(entropy.data()),
        static_cast<const double*>(by_logp.data()), static_cast<const double*>(by_entropy.data()));
    logits = there.download();
    return {logp.download(), entropy.download(), squares.download()};
}

template <class Divergence>
double divergence_of_row(const Divergence& divergence, const std::vector<double>& logits,
                         const std::vector<double>& teacher, std::vector<double>& gradient) {
    ++count_of_calls();
    const auto size = std::ssize(logits);
    gpu::Buffer<double, Device> row(device(), std::span<const double>(logits)),
        other(device(), std::span<const double>(teacher)), value(device(), 1);
    gpu::full_divergence_with_gradient(device(), divergence, gpu::Logits<double>(row.data(), 1, size),
                                       gpu::Logits<const double>(other.data(), 1, size), 1.0,
                                       static_cast<const double*>(nullptr), value.data());
    gradient = row.download();
    return value.download()[0];
}

template <class Rule>
class Steps {
public:
    using State = typename Rule::template StateOf<double>;
    Steps(const Rule& rule, std::int64_t size) : stepper_(device(), rule, size) {}
    void step(std::vector<double>& parameters, const std::vector<double>& gradient) {
        ++count_of_calls();
        gpu::Buffer<double, Device> there(device(), std::span<const double>(parameters)),
            by(device(), std::span<const double>(gradient));
        stepper_.step(there.data(), by.data());
        parameters = there.download();
    }
    State state() const {
        State state;
        stepper_.save(state);
        return state;
    }

private:
    gpu::Stepper<Rule, double, Device> stepper_;
};

}  // namespace roars::golden::engine
