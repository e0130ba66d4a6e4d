#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "roars/columns.hpp"
#include "roars/error.hpp"
#include "roars/random.hpp"

/// Tasks that are small enough to be evaluated without sampling: the answer to a prompt is a walk through a few states,
/// and the policy is a table of logits [rows x actions] of which every state reads one row.
namespace roars::tasks {

/// A start logit of this size forbids its action: probability 0, no gradient. Finite, so that a step rule that scales
/// every parameter keeps it a number.
inline constexpr double forbidden_logit = -1e9;

/// The states of a prompt are numbered so that `next` is always larger: one pass in that order meets every walk. In a
/// state whose row is below 0 the answer has ended: success is the probability that it is right, outcome the verdict
/// that one answer gets (drawn, where it is drawn). Errors: none; numbers are taken as valid.
template <class T>
concept TabularTask = requires(const T& task, std::int64_t prompt, std::int64_t state, std::int64_t action,
                               std::span<const std::int32_t> actions, RandomStream& noise) {
    { task.prompts() } -> std::convertible_to<std::int64_t>;
    { task.rows() } -> std::convertible_to<std::int64_t>;
    { task.actions() } -> std::convertible_to<std::int64_t>;
    { task.states() } -> std::convertible_to<std::int64_t>;          // of one prompt
    { task.longest_answer() } -> std::convertible_to<std::int64_t>;  // tokens
    { task.start_logits() } -> std::convertible_to<std::span<const double>>;
    { task.start(prompt) } -> std::convertible_to<std::int64_t>;
    { task.row(prompt, state) } -> std::convertible_to<std::int64_t>;
    { task.next(prompt, state, action) } -> std::convertible_to<std::int64_t>;
    { task.truncated(prompt, state) } -> std::convertible_to<bool>;
    { task.success(prompt, state) } -> std::convertible_to<double>;
    { task.outcome(prompt, state, noise) } -> std::convertible_to<double>;
    { task.answer(prompt, actions) } -> std::convertible_to<std::int32_t>;  // equal answers, equal numbers
    { task.solution(prompt) } -> std::convertible_to<std::vector<std::int32_t>>;
};

/// Whether the environment writes the token in this state: an observation, the answer of a tool. It is drawn from its
/// row like any other, is not the policy's (mask 0) and never learns. A task without observations need not say so.
template <class Task>
bool is_observation(const Task& task, std::int64_t prompt, std::int64_t state) {
    if constexpr (requires { task.observation(prompt, state); })
        return task.observation(prompt, state);
    else
        return false;
}

/// A row that the state shares with others, whose logits are added to its own: what is learnt there is learnt for all
/// of them. -1 for none, which a task need not say.
template <class Task>
std::int64_t shared_row(const Task& task, std::int64_t prompt, std::int64_t state) {
    if constexpr (requires { task.shared_row(prompt, state); })
        return task.shared_row(prompt, state);
    else
        return -1;
}

/// Where the value of a state stands: in its row's place, unless the task tells apart for a critic what it does not for
/// the policy (a step number), in `value_rows` rows.
template <class Task>
std::int64_t value_row(const Task& task, std::int64_t prompt, std::int64_t state) {
    if constexpr (requires { task.value_row(prompt, state); })
        return task.value_row(prompt, state);
    else
        return task.row(prompt, state);
}
template <class Task>
std::int64_t value_rows(const Task& task) {
    if constexpr (requires { task.value_rows(); })
        return task.value_rows();
    else
        return task.rows();
}

/// A task whose answers are judged by criteria that a prompt may show: what the shown ones, [criteria of the prompt],
/// add to the logits of a state, [actions].
template <class T>
concept ShowsCriteria = requires(const T& task, std::int64_t prompt, std::int64_t state, std::span<const char> shown,
                                 std::span<float> logits) {
    { task.criteria(prompt) } -> std::convertible_to<std::int64_t>;
    task.show(prompt, state, shown, logits);
};

/// The columns that a task brings beside those of every tabular task, `using gives = columns<...>`, each told by
///     double tell(Column, prompt, actions, k, noise): of an answer (k = 0), or of its turn or token number k;
/// of a wide column of answers, which has `width(Column)` numbers each, number k of the row.
/// Not so col::confidence, which a policy tells of the true answer:
///     std::vector<ScoredToken> true_answer(prompt, state): its tokens, were it given in this state; none: there is
///     none.
template <class Task>
using told_by = gives_of<Task>;
template <class Task, class Column>
std::int64_t told_width(const Task& task, Column column) {
    if constexpr (requires { task.width(column); })
        return task.width(column);
    else
        return 1;
}

/// A token that is not drawn but looked up: how probable is this action in this row, and the one it shares, if any?
struct ScoredToken {
    std::int64_t row;
    std::int32_t action;
    std::int64_t shared_row = -1;
};

/// What a policy is worth, without sampling.
struct ExactScore {
    double success = 0;    ///< probability of a right answer
    double pass = 0;       ///< of at least one right answer among `samples`
    double coverage = 0;   ///< expected share of the right endings that `samples` answers meet
    double entropy = 0;    ///< of the whole answer's distribution, nats
    double length = 0;     ///< expected tokens
    double truncated = 0;  ///< probability of an answer cut by the length limit

    ExactScore& operator+=(const ExactScore& other) {
        success += other.success;
        pass += other.pass;
        coverage += other.coverage;
        entropy += other.entropy;
        length += other.length;
        truncated += other.truncated;
        return *this;
    }
    ExactScore operator/(double n) const {
        return {success / n, pass / n, coverage / n, entropy / n, length / n, truncated / n};
    }
};

namespace detail {

/// softmax of one row in double; returns its entropy.
template <class Real>
double softmax(std::span<const Real> logits, std::span<double> probability) {
    double largest = static_cast<double>(*std::max_element(logits.begin(), logits.end())), sum = 0, entropy = 0;
    for (std::size_t a = 0; a < logits.size(); ++a) sum += probability[a] = std::exp(double(logits[a]) - largest);
    for (double& p : probability) {
        p /= sum;
        if (p > 0) entropy -= p * std::log(p);
    }
    return entropy;
}

/// 1 - (1 - p)^samples: an event of probability p at least once.
inline double at_least_once(double p, double samples) { return p >= 1 ? 1.0 : -std::expm1(samples * std::log1p(-p)); }

/// The logits in each state, from a table [rows x actions]. What it gives holds until it is asked again.
template <class Task, class Real>
class LogitsIn {
public:
    LogitsIn(const Task& task, std::span<const Real> table) : task_(&task), table_(table) {}
    std::span<const Real> operator()(std::int64_t prompt, std::int64_t state, std::int64_t row) {
        const std::int64_t shared = shared_row(*task_, prompt, state);
        if (shared < 0) return of(row);
        sum_.assign(of(row).begin(), of(row).end());
        for (std::size_t a = 0; a < sum_.size(); ++a) sum_[a] += of(shared)[a];
        return sum_;
    }

private:
    std::span<const Real> of(std::int64_t row) const {
        const auto actions = static_cast<std::size_t>(task_->actions());
        return table_.subspan(static_cast<std::size_t>(row) * actions, actions);
    }
    const Task* task_;
    std::span<const Real> table_;
    std::vector<Real> sum_;
};

/// One pass over the states of a prompt: reach(start) = 1 and reach(next(s, a)) += reach(s) p(a) of
/// p = choose(state, row, reach), [actions], where an answer goes on; end(state, reach) of all in which one has ended.
template <TabularTask Task, class Choose, class End>
void walk(const Task& task, std::int64_t prompt, Choose&& choose, End&& end) {
    std::vector<double> reach(static_cast<std::size_t>(task.states()));
    reach[static_cast<std::size_t>(task.start(prompt))] = 1;
    for (std::int64_t state = 0; state < task.states(); ++state) {
        const double here = reach[static_cast<std::size_t>(state)];
        const std::int64_t row = task.row(prompt, state);
        if (row < 0) end(state, here);
        if (row < 0 || here == 0) continue;
        std::span<const double> probability = choose(state, row, here);
        for (std::size_t a = 0; a < probability.size(); ++a)
            if (probability[a] > 0)
                reach[static_cast<std::size_t>(task.next(prompt, state, std::int64_t(a)))] += here * probability[a];
    }
}

}  // namespace detail

/// One prompt under the policy softmax(logits): one pass over its states,
///     reach(start) = 1,   reach(next(s, a)) += reach(s) p(a | row(s)),
///     success = sum over endings e of reach(e) success(e),   pass = 1 - (1 - success)^samples,
///     coverage = mean over endings with success(e) > 0 of 1 - (1 - reach(e) success(e))^samples,
///     entropy = sum over the others of reach(s) H(row(s)),   length = their sum of reach(s), observations left out.
/// Shapes: logits [rows x actions]. Errors: a table or a prompt that is not the task's, samples below 1.
template <TabularTask Task, class Real>
ExactScore exact_score(const Task& task, std::span<const Real> logits, std::int64_t prompt, std::int64_t samples = 64) {
    const auto actions = static_cast<std::size_t>(task.actions());
    expect(logits.size() == static_cast<std::size_t>(task.rows()) * actions, [&] {
        return "exact score: " + std::to_string(logits.size()) + " logits, expected " + std::to_string(task.rows()) +
               " rows of " + std::to_string(task.actions());
    });
    expect(prompt >= 0 && prompt < task.prompts() && samples > 0, [&] {
        return "exact score: prompt " + std::to_string(prompt) + " and " + std::to_string(samples) +
               " samples, expected a prompt from 0 to " + std::to_string(task.prompts() - 1) + " and at least 1 sample";
    });
    std::vector<double> probability(actions);
    ExactScore score;
    std::int64_t right_endings = 0;
    detail::LogitsIn<Task, Real> policy(task, logits);
    auto choose = [&](std::int64_t state, std::int64_t row, double here) {
        const double entropy = detail::softmax(policy(prompt, state, row), std::span<double>(probability));
        if (!is_observation(task, prompt, state)) {
            score.length += here;
            score.entropy += here * entropy;
        }
        return std::span<const double>(probability);
    };
    detail::walk(task, prompt, choose, [&](std::int64_t state, double here) {
        const double right = here * task.success(prompt, state);
        score.success += right;
        if (task.success(prompt, state) > 0) {
            ++right_endings;
            score.coverage += detail::at_least_once(right, double(samples));
        }
        if (task.truncated(prompt, state)) score.truncated += here;
    });
    if (right_endings > 0) score.coverage /= double(right_endings);
    score.pass = detail::at_least_once(score.success, double(samples));
    return score;
}

/// KL(policy || reference) of a prompt's whole answers, nats: sum over states of reach(s) KL(p(. | s) || q(. | s)). A
/// choice that the reference forbids (forbidden_logit) and the policy does not makes it infinite, or as good as.
/// Shapes: logits, reference [rows x actions]. Errors: as exact_score.
template <TabularTask Task, class Real>
double exact_divergence(const Task& task, std::span<const Real> logits, std::span<const double> reference,
                        std::int64_t prompt) {
    const auto actions = static_cast<std::size_t>(task.actions());
    const auto size = static_cast<std::size_t>(task.rows()) * actions;
    expect(logits.size() == size && reference.size() == size && prompt >= 0 && prompt < task.prompts(), [&] {
        return "exact divergence: " + std::to_string(logits.size()) + " and " + std::to_string(reference.size()) +
               " logits, prompt " + std::to_string(prompt) + ", expected " + std::to_string(size) +
               " of each and a prompt from 0 to " + std::to_string(task.prompts() - 1);
    });
    std::vector<double> p(actions), q(actions);
    double divergence = 0;
    detail::LogitsIn<Task, Real> policy(task, logits);
    detail::LogitsIn<Task, double> start(task, reference);
    auto choose = [&](std::int64_t state, std::int64_t row, double here) {
        detail::softmax(policy(prompt, state, row), std::span<double>(p));
        if (is_observation(task, prompt, state)) return std::span<const double>(p);
        detail::softmax(start(prompt, state, row), std::span<double>(q));
        for (std::size_t a = 0; a < actions; ++a)
            if (p[a] > 0) divergence += here * p[a] * std::log(p[a] / q[a]);
        return std::span<const double>(p);
    };
    detail::walk(task, prompt, choose, [](std::int64_t, double) {});
    return divergence;
}
template <TabularTask Task, class Real>
double mean_exact_divergence(const Task& task, std::span<const Real> logits, std::span<const double> reference) {
    double sum = 0;
    for (std::int64_t prompt = 0; prompt < task.prompts(); ++prompt)
        sum += exact_divergence(task, logits, reference, prompt) / double(task.prompts());
    return sum;
}

/// Probability of a right answer where the policy takes its likeliest action everywhere: of equal ones the first.
template <TabularTask Task, class Real>
double greedy_success(const Task& task, std::span<const Real> logits, std::int64_t prompt) {
    const auto actions = static_cast<std::size_t>(task.actions());
    std::vector<double> probability(actions);
    double success = 0;
    detail::LogitsIn<Task, Real> policy(task, logits);
    auto choose = [&](std::int64_t state, std::int64_t row, double) {
        auto here = policy(prompt, state, row);
        if (is_observation(task, prompt, state)) {
            detail::softmax(here, std::span<double>(probability));
        } else {
            std::fill(probability.begin(), probability.end(), 0.0);
            probability[std::size_t(std::max_element(here.begin(), here.end()) - here.begin())] = 1;
        }
        return std::span<const double>(probability);
    };
    detail::walk(task, prompt, choose,
                 [&](std::int64_t state, double here) { success += here * task.success(prompt, state); });
    return success;
}

/// The mean over prompts [first, last); over all of them without any.
template <TabularTask Task, class Real>
ExactScore mean_exact_score(const Task& task, std::span<const Real> logits, std::int64_t samples = 64,
                            std::int64_t first = 0, std::int64_t last = -1) {
    if (last < 0) last = task.prompts();
    ExactScore sum;
    for (std::int64_t prompt = first; prompt < last; ++prompt) sum += exact_score(task, logits, prompt, samples);
    return last > first ? sum / double(last - first) : sum;
}

}  // namespace roars::tasks
