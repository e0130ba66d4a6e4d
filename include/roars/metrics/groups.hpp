#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "roars/metrics/estimates.hpp"

/// What the answers to one prompt say together.
namespace roars::metrics {

/// -sum p log p over the shares p of equal answers, nats; 0 for one answer and for none. Of a prompt's few answers:
/// each is compared with each.
template <class Answer>
ROARS_FN double answer_entropy(const Answer* answers, std::int64_t count) {
    double entropy = 0.0;
    for (std::int64_t i = 0; i < count; ++i) {
        std::int64_t before = 0, equal = 0;
        for (std::int64_t j = 0; j < count; ++j) {
            before += j < i && answers[j] == answers[i];
            equal += answers[j] == answers[i];
        }
        double share = static_cast<double>(equal) / static_cast<double>(count);
        if (before == 0) entropy -= share * std::log(share);
    }
    return entropy;
}
template <class Answer>
double answer_entropy(std::span<Answer> answers) {
    return answer_entropy(answers.data(), std::ssize(answers));
}

/// How many different answers there are.
template <class Answer>
std::int64_t distinct_answers(std::span<Answer> answers) {
    std::vector<std::remove_const_t<Answer>> sorted(answers.begin(), answers.end());
    std::sort(sorted.begin(), sorted.end());
    return std::unique(sorted.begin(), sorted.end()) - sorted.begin();
}

/// What the answers to one prompt are worth, one by one and together; means over prompts of the same.
struct AnswerRates {
    double average = 0.0;                          ///< average@k: the share that is right
    double pass = 0.0;                             ///< pass@k: any is right
    double majority = 0.0;                         ///< maj@k: the most frequent one is right
    double gap() const { return pass - average; }  ///< what sampling finds and one answer misses
};

/// The place of the most frequent answer, of equally frequent ones the first seen; -1 where there is none. A negative
/// number is no answer, and never wins.
template <class Answer>
std::int64_t majority_place(std::span<Answer> answers) {
    std::int64_t best = -1, votes = 0;
    for (std::size_t i = 0; i < answers.size(); ++i) {
        const std::int64_t equal = answers[i] < 0 ? 0 : std::count(answers.begin(), answers.end(), answers[i]);
        if (equal > votes) best = static_cast<std::int64_t>(i), votes = equal;
    }
    return best;
}
/// Right: equal to `right`, and an answer. Nothing of no answers.
template <class Answer>
AnswerRates answer_rates(std::span<Answer> answers, std::remove_const_t<Answer> right) {
    if (answers.empty() || right < 0) return {};
    const auto found = std::count(answers.begin(), answers.end(), right);
    const std::int64_t place = majority_place(answers);
    return {static_cast<double>(found) / static_cast<double>(answers.size()), found > 0 ? 1.0 : 0.0,
            place >= 0 && answers[static_cast<std::size_t>(place)] == right ? 1.0 : 0.0};
}

/// The share of a prompt's right answers that k of its n samples meet, unbiased: the mean over right answers of pass@k
/// with that answer alone as the right one. 0 where nothing is right. Errors: k above n. Source of the measure: ProRL,
/// arXiv 2505.24864 (what stays within reach); of the estimate: arXiv 2107.03374, eq. 1.
template <class Answer>
double coverage_at_k(std::span<Answer> answers, std::span<const std::remove_const_t<Answer>> right, std::int64_t k) {
    const auto samples = static_cast<std::int64_t>(answers.size());
    expect(k >= 0 && k <= samples, [&] {
        return "coverage: " + std::to_string(k) + " of " + std::to_string(samples) +
               " samples, expected not more than there are";
    });
    double sum = 0;
    for (const auto& each : right) sum += pass_at_k(samples, std::count(answers.begin(), answers.end(), each), k);
    return right.empty() ? 0.0 : sum / static_cast<double>(right.size());
}

/// Means over the groups of a batch that are not empty.
struct GroupRates {
    double solved = 0.0;      ///< share with a right answer (coverage, empirical pass@group size)
    double all_right = 0.0;   ///< share whose answers are all right
    double effective = 0.0;   ///< share whose outcomes differ: those that teach a group method something
    std::int64_t groups = 0;  ///< of how many
};

/// Right: outcome > 0.5. Shapes: groups, outcome [sequences].
template <class Real>
GroupRates group_rates(Offsets groups, std::span<Real> outcome) {
    GroupRates rates;
    for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
        auto members =
            outcome.subspan(static_cast<std::size_t>(groups[g]), static_cast<std::size_t>(groups[g + 1] - groups[g]));
        if (members.empty()) continue;
        auto right = std::count_if(members.begin(), members.end(), [](Real x) { return x > Real(0.5); });
        auto [least, most] = std::minmax_element(members.begin(), members.end());
        rates.solved += right > 0;
        rates.all_right += right == std::ssize(members);
        rates.effective += *least != *most;
        ++rates.groups;
    }
    if (rates.groups == 0) return rates;
    auto count = static_cast<double>(rates.groups);
    return {rates.solved / count, rates.all_right / count, rates.effective / count, rates.groups};
}

/// Advantage collapse: where all rollouts of a group come out alike, the outcome teaches nothing. Means over the groups
/// that are not empty.
struct Collapse {
    double outcome = 0.0;  ///< share whose outcomes are all equal
    double turn = 0.0;     ///< share of which the gains before the last turns are, too, or where there is none
};

/// Shapes: outcome [sequences], turn_owner [sequences + 1], gain [turns]. Source: IGPO, arXiv 2510.14967.
template <class Real>
Collapse advantage_collapse(Offsets groups, Offsets turn_owner, std::span<Real> gain, std::span<Real> outcome) {
    Collapse share;
    std::int64_t count = 0;
    for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
        const auto first = static_cast<std::size_t>(groups[g]), last = static_cast<std::size_t>(groups[g + 1]);
        if (first == last) continue;
        std::vector<std::remove_const_t<Real>> gains;
        for (std::size_t i = first; i < last; ++i)
            for (std::int64_t k = turn_owner[i]; k + 1 < turn_owner[i + 1]; ++k)
                gains.push_back(gain[static_cast<std::size_t>(k)]);
        auto equal = [](auto values) {
            return std::adjacent_find(values.begin(), values.end(), std::not_equal_to{}) == values.end();
        };
        const bool alike = equal(outcome.subspan(first, last - first));
        share.outcome += alike;
        share.turn += alike && equal(std::span(gains));
        ++count;
    }
    if (count == 0) return share;
    return {share.outcome / static_cast<double>(count), share.turn / static_cast<double>(count)};
}

/// Unbiased pass@k, the mean over the groups of a batch with at least k members. Shapes: outcome [sequences].
template <class Real>
CountedMean mean_pass_at_k(Offsets groups, std::span<Real> outcome, std::int64_t k) {
    CountedMean mean;
    for (std::size_t g = 0; g + 1 < groups.size(); ++g) {
        std::int64_t size = groups[g + 1] - groups[g];
        if (size < k || size == 0) continue;
        auto members = outcome.subspan(static_cast<std::size_t>(groups[g]), static_cast<std::size_t>(size));
        auto right = std::count_if(members.begin(), members.end(), [](Real x) { return x > Real(0.5); });
        mean.mean += pass_at_k(size, right, k);
        ++mean.count;
    }
    if (mean.count > 0) mean.mean /= static_cast<double>(mean.count);
    return mean;
}

}  // namespace roars::metrics
