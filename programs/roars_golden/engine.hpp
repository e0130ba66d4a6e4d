#pragma once

#include <cstdint>
#include <span>
#include <type_traits>
#include <vector>

#include "roars/algorithm.hpp"
#include "roars/regularizer/full_distribution.hpp"

/// Where the parts of a case run: on the host, or on a device if ROARS_GOLDEN_ON_DEVICE is defined.
namespace roars::golden {

/// What is told of rows of logits; the logits become their gradient.
struct LogSoftmaxRows {
    std::vector<double> logp, entropy, sum_pi_squared;
};

/// The parts of a case, each in its first iteration, on the columns of a batch of the host.
namespace on_host {

/// call(run, state, batch) with a State that has seen nothing.
template <class Part, class BatchType, class Call>
void in_first_iteration(BatchType& batch, Call&& call) {
    backend::Host host;
    Run run{host};
    state_of<Part> state{};
    call(run, state, batch);
}
template <class Part, class BatchType>
void score(const Part& part, BatchType& batch) {
    in_first_iteration<Part>(batch, [&](auto&... with) { roars::detail::call_score(part, with...); });
}
template <class Part, class BatchType>
void shape(const Part& part, BatchType& batch) {
    in_first_iteration<Part>(batch, [&](auto&... with) { roars::detail::call_shape(part, with...); });
}
template <class Part, class BatchType>
void estimate(const Part& part, BatchType& batch) {
    in_first_iteration<Part>(batch, [&](auto&... with) { roars::detail::call_estimate(part, with...); });
}

/// Loss and gradients of an algorithm's terms.
template <class A, class BatchType>
auto objective(const A& algorithm, BatchType& batch, const typename A::State& state = {}) {
    backend::Host host;
    Run run{host};
    return algorithm.objective(run, state, batch);
}
/// The same from the rewards on.
template <class A, class BatchType>
auto loss(const A& algorithm, BatchType& batch) {
    return roars::loss(algorithm, batch);
}

/// Loss and gradients of terms by themselves, on a piece of the batch that they are counted on.
template <class Whole, class BatchType, class Aggregate, class... Term>
Result<Term...> terms_of(Whole& whole, BatchType& piece, const Aggregate& aggregate, const Term&... term) {
    backend::Host host;
    Run run{host};
    double untold = 0.0;
    auto ready = [&](const auto& each) {
        auto bound = each;
        auto sums = roars::detail::reduce_base(each, run, whole);
        if constexpr (requires { each.with(sums); }) bound = each.with(sums);
        roars::detail::prepare_base(bound, run, piece, sums);
        untold += roars::detail::untold_loss(bound, run, piece, sums);
        return Weighed<std::remove_cvref_t<decltype(each)>, Aggregate>{bound, aggregate};
    };
    std::tuple weighed{ready(term)...};  // in braces: one term may read what an earlier one gives
    auto result = std::apply(
        [&](const auto&... each) { return evaluate(host, piece, {count<mask_of<Term>>(host, whole)...}, each...); },
        weighed);
    result.term_loss[0] += untold;
    return result;
}
template <class BatchType, class Aggregate, class... Term>
Result<Term...> terms(BatchType& batch, const Aggregate& aggregate, const Term&... term) {
    return terms_of(batch, batch, aggregate, term...);
}

inline LogSoftmaxRows log_softmax(std::vector<double>& logits, std::int64_t vocabulary,
                                  const std::vector<std::int64_t>& token, double temperature,
                                  const std::vector<double>& grad_logp, const std::vector<double>& grad_entropy) {
    backend::Host host;
    auto rows = token.size();
    LogSoftmaxRows told{std::vector<double>(rows), std::vector<double>(rows), std::vector<double>(rows)};
    std::vector<double> log_sum(rows);
    LogSoftmaxColumns<double> columns{told.logp, log_sum, told.entropy, told.sum_pi_squared};
    selective_log_softmax(host, std::span<double>(logits), vocabulary, std::span(token), temperature, columns);
    selective_log_softmax_backward(host, std::span<double>(logits), vocabulary, std::span(token), temperature, columns,
                                   std::span<const double>(grad_logp), std::span<const double>(grad_entropy));
    return told;
}

/// A divergence from a teacher's row of logits, and its gradient.
template <class Divergence>
double divergence_of_row(const Divergence& divergence, const std::vector<double>& logits,
                         const std::vector<double>& teacher, std::vector<double>& gradient) {
    return row_divergence(divergence, logits.data(), teacher.data(), std::ssize(logits), 1.0, gradient.data());
}

/// Steps by a rule, one after the other.
template <class Rule>
class Steps {
public:
    using State = typename Rule::template StateOf<double>;
    Steps(const Rule& rule, std::int64_t) : rule_(rule) {}
    void step(std::vector<double>& parameters, std::vector<double> gradient) {
        rule_.step(state_, std::span<double>(parameters), std::span<double>(gradient));
    }
    State state() const { return state_; }

private:
    Rule rule_;
    State state_;
};

}  // namespace on_host
}  // namespace roars::golden

#if defined(ROARS_GOLDEN_ON_DEVICE)
#include "golden_engine.hpp"  // of cuda/tests
#else
namespace roars::golden::engine {
using namespace on_host;
/// Calls that a device has done.
inline std::int64_t calls_on_device() { return 0; }
}  // namespace roars::golden::engine
#endif
