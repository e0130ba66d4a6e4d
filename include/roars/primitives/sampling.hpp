#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "roars/fields.hpp"
#include "roars/primitives/log_softmax.hpp"
#include "roars/primitives/segments.hpp"
#include "roars/simd.hpp"

namespace roars {

/// How a token is drawn from logits. In this order (as HF transformers does):
///  1. repetition_penalty c: a logit x of a token that occurred before becomes x / c if x > 0, else x c;
///  2. temperature: z = x / temperature; 0 takes the largest x, the lowest index of equal ones;
///  3. top_k: the k largest z stay (0 = all); of equal ones those of lowest index;
///  4. top_p: of what is left, by falling z, a token stays while those before it have less than top_p of the mass;
///  5. min_p: a token stays if its probability is at least min_p times the largest one.
/// At least one token always stays.
struct Generation {
    double temperature = 1.0;
    std::int64_t top_k = 0;
    double top_p = 1.0;
    double min_p = 0.0;
    double repetition_penalty = 1.0;

    /// Errors: a setting outside its range.
    void validate() const {
        auto within = [](bool holds, const char* name, double value, const char* range) {
            expect(holds, [&] {
                return std::string("generation: ") + name + " is " + std::to_string(value) + ", expected " + range;
            });
        };
        within(temperature >= 0.0 && std::isfinite(temperature), "temperature", temperature,
               "a finite number, 0 or more");
        within(top_k >= 0, "top_k", static_cast<double>(top_k), "0 (off) or more");
        within(top_p > 0.0 && top_p <= 1.0, "top_p", top_p, "a number in (0, 1]");
        within(min_p >= 0.0 && min_p <= 1.0, "min_p", min_p, "a number in [0, 1]");
        within(repetition_penalty > 0.0 && std::isfinite(repetition_penalty), "repetition_penalty", repetition_penalty,
               "a finite number above 0");
    }
};

ROARS_FIELDS(Generation, temperature, top_k, top_p, min_p, repetition_penalty)

/// A drawn token; its log-probability under the distribution it was drawn from (tempered and filtered; 0 at temperature
/// 0); and under the policy itself, the plain softmax of the logits.
struct Sampled {
    std::int64_t token = -1;
    double logp = 0.0;
    double logp_full = 0.0;
};

/// A token and its scaled logit.
struct Candidate {
    double z;
    std::int64_t token;
};

/// Memory of sample_row, kept from row to row.
struct SamplingWorkspace {
    std::vector<double> z;       ///< filled up with -inf to whole lanes
    std::vector<double> weight;  ///< e^(z - max)
    std::vector<std::int64_t> order;
    std::vector<Candidate> candidates;  ///< what a filter has left, if few; by token
    std::vector<Candidate> sorted;
};

namespace detail {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();

/// weight = e^(z - max); returns their sum, taken in lanes.
template <class V = math::Lanes<double>>
double fill_weights(SamplingWorkspace& work, double max) {
    constexpr auto width = static_cast<std::size_t>(math::lanes<V>);
    work.weight.resize(work.z.size());
    V sum(0.0), largest(max);
    for (std::size_t i = 0; i < work.z.size(); i += width) {
        V weight = math::exp(math::load<V>(work.z.data() + i) - largest);
        math::store(work.weight.data() + i, weight);
        sum += weight;
    }
    return math::sum(sum);
}
/// The same of the candidates, which stand in the order of their tokens: weight c is that of candidate c, and the sum
/// the one that all tokens would have, those left out of weight 0.
template <class V = math::Lanes<double>>
double fill_candidate_weights(SamplingWorkspace& work, double max) {
    constexpr auto width = static_cast<std::size_t>(math::lanes<V>);
    std::size_t count = work.candidates.size();
    work.weight.assign((count + width - 1) / width * width, minus_infinity);
    for (std::size_t c = 0; c < count; ++c) work.weight[c] = work.candidates[c].z - max;
    for (std::size_t c = 0; c < work.weight.size(); c += width)
        math::store(work.weight.data() + c, math::exp(math::load<V>(work.weight.data() + c)));
    std::array<double, width> sums{};
    for (std::size_t c = 0; c < count; ++c)
        sums[static_cast<std::size_t>(work.candidates[c].token) % width] += work.weight[c];
    return math::sum(math::load<V>(sums.data()));
}

/// Loads a row and returns its largest logit. Errors: a logit of NaN or +inf, a row that allows no token.
template <class V = math::Lanes<double>, class Real>
double load_logits(std::span<Real> logits, SamplingWorkspace& work) {
    constexpr auto width = static_cast<std::size_t>(math::lanes<V>);
    work.z.resize((logits.size() + width - 1) / width * width);
    std::transform(logits.begin(), logits.end(), work.z.begin(), [](Real x) { return static_cast<double>(x); });
    std::fill(work.z.begin() + std::ptrdiff_t(logits.size()), work.z.end(), minus_infinity);
    V largest(minus_infinity), not_a_number(0.0);
    for (std::size_t i = 0; i < work.z.size(); i += width) {
        V x = math::load<V>(work.z.data() + i);
        largest = math::max(largest, x);
        not_a_number = math::select(x == x, not_a_number, V(1.0));
    }
    double max = math::largest(largest);
    if (math::largest(not_a_number) != 0.0 || !(max < std::numeric_limits<double>::infinity())) {
        auto wrong = std::find_if(work.z.begin(), work.z.end(),
                                  [](double x) { return !(x < std::numeric_limits<double>::infinity()); });
        throw Error("logit " + std::to_string(wrong - work.z.begin()) + " is " + std::to_string(*wrong) +
                    ", expected a number or -inf");
    }
    expect(max != minus_infinity, "a row of logits allows no token: expected one above -inf");
    return max;
}

/// Errors: a previous token outside the vocabulary.
template <class Token>
void penalise(std::span<Token> previous, double penalty, std::int64_t vocabulary, SamplingWorkspace& work) {
    work.order.assign(previous.begin(), previous.end());
    std::sort(work.order.begin(), work.order.end());
    work.order.erase(std::unique(work.order.begin(), work.order.end()), work.order.end());
    expect(work.order.front() >= 0 && work.order.back() < vocabulary,
           [&] { return "a previous token is outside the vocabulary of " + std::to_string(vocabulary); });
    for (std::int64_t token : work.order) {
        double& x = work.z[static_cast<std::size_t>(token)];
        x = x > 0.0 ? x / penalty : x * penalty;
    }
}

/// By falling z, of equal ones the lower token.
inline bool comes_first(const Candidate& a, const Candidate& b) {
    return a.z > b.z || (a.z == b.z && a.token < b.token);
}
inline bool lower_token(const Candidate& a, const Candidate& b) { return a.token < b.token; }

/// The first `count` allowed tokens in that order, in no order themselves. Tokens come by number: one that is no larger
/// than the least of `count` earlier ones is out, which is seen for many at a time.
template <class V = math::Lanes<double>>
void take_largest(std::int64_t count, SamplingWorkspace& work) {
    constexpr auto width = static_cast<std::size_t>(math::lanes<V>);
    auto& found = work.candidates;
    auto shrink = [&] {
        std::nth_element(found.begin(), found.begin() + (count - 1), found.end(), comes_first);
        found.resize(static_cast<std::size_t>(count));
        return found.back().z;
    };
    std::size_t room = static_cast<std::size_t>(count) + std::max<std::size_t>(std::size_t(count), 64);
    double least = minus_infinity;
    found.clear();
    for (std::size_t begin = 0; begin < work.z.size(); begin += 8 * width) {
        std::size_t end = std::min(work.z.size(), begin + 8 * width);
        V largest(minus_infinity);
        for (std::size_t i = begin; i < end; i += width) largest = math::max(largest, math::load<V>(work.z.data() + i));
        if (!(math::largest(largest) > least)) continue;
        for (std::size_t i = begin; i < end; ++i)
            if (work.z[i] > least) found.push_back({work.z[i], static_cast<std::int64_t>(i)});
        if (found.size() >= room) least = shrink();
    }
    if (found.size() > static_cast<std::size_t>(count)) shrink();
}

/// Candidates that hold the `wanted` mass of all tokens, and few more: a count of the mass by z, an eighth wide, tells
/// how far down to look. A little more than `wanted`, for it is summed in another order than the one that decides.
inline void take_mass(double wanted, SamplingWorkspace& work) {
    constexpr int bins = 512;
    auto bin = [](double z) { return static_cast<int>(std::min(-8.0 * z, bins - 1.0)); };
    std::array<double, bins> mass{};
    for (std::size_t i = 0; i < work.z.size(); ++i) mass[static_cast<std::size_t>(bin(work.z[i]))] += work.weight[i];
    int last = 0;
    for (double sum = mass[0]; last + 1 < bins && sum < wanted * (1.0 + 1e-9);)
        sum += mass[static_cast<std::size_t>(++last)];
    work.candidates.clear();
    for (std::size_t i = 0; i < work.z.size(); ++i)
        if (work.z[i] != minus_infinity && bin(work.z[i]) <= last)
            work.candidates.push_back({work.z[i], static_cast<std::int64_t>(i)});
}

/// Of the candidates those before which, by falling z, less than `wanted` of the mass stands; weight(candidate) is its
/// mass. They stay in the order of their tokens.
template <class Weight>
void keep_mass(double wanted, SamplingWorkspace& work, Weight&& weight) {
    work.sorted = work.candidates;
    std::sort(work.sorted.begin(), work.sorted.end(), comes_first);
    double mass = 0.0;
    std::size_t kept = 0;
    while (kept < work.sorted.size() && mass < wanted) mass += weight(work.sorted[kept++]);
    if (kept == work.sorted.size()) return;
    Candidate first_out = work.sorted[kept];
    std::erase_if(work.candidates, [&](const Candidate& c) { return !comes_first(c, first_out); });
}

/// The candidates of the largest mass p of all tokens, ...
inline void keep_top_p_of_all(double p, SamplingWorkspace& work) {
    double wanted = p * fill_weights(work, 0.0);
    take_mass(wanted, work);
    keep_mass(wanted, work, [&](const Candidate& c) { return work.weight[static_cast<std::size_t>(c.token)]; });
}
/// ... or of the candidates that there are. Their z in the row give place to their weights.
inline void keep_top_p_of_candidates(double p, SamplingWorkspace& work) {
    double wanted = p * fill_candidate_weights(work, 0.0);
    for (std::size_t c = 0; c < work.candidates.size(); ++c)
        work.z[static_cast<std::size_t>(work.candidates[c].token)] = work.weight[c];
    keep_mass(wanted, work, [&](const Candidate& c) { return work.z[static_cast<std::size_t>(c.token)]; });
}

/// The first one whose cumulated weight, in order, exceeds u of the total. Never one of weight 0.
inline std::size_t invert_cumulated(double u, const std::vector<double>& weight) {
    double total = 0.0;
    for (double w : weight) total += w;
    double wanted = u * total, cumulated = 0.0;
    std::size_t found = 0;
    for (std::size_t i = 0; i < weight.size(); ++i) {
        if (weight[i] == 0.0) continue;
        found = i;
        cumulated += weight[i];
        if (cumulated > wanted) break;
    }
    return found;
}

}  // namespace detail

/// Draws from one row of logits with one uniform number u in [0, 1), by inverting the cumulated distribution in index
/// order and in double, so that the same u gives the same token on any backend. `previous`: the tokens that the
/// repetition penalty looks at. Errors: a logit of NaN or +inf, no token allowed. Settings are taken as validated.
template <class Real, class Token = const std::int64_t>
Sampled sample_row(std::span<Real> logits, const Generation& generation, double u, SamplingWorkspace& work,
                   std::span<Token> previous = {}) {
    double largest = detail::load_logits(logits, work);
    double sum = detail::fill_weights(work, largest), full_log_sum = largest + std::log(sum);
    auto logp_full = [&](std::int64_t token) {
        return static_cast<double>(logits[static_cast<std::size_t>(token)]) - full_log_sum;
    };
    bool penalised = generation.repetition_penalty != 1.0 && !previous.empty();
    if (penalised) {
        detail::penalise(previous, generation.repetition_penalty, static_cast<std::int64_t>(logits.size()), work);
        largest = *std::max_element(work.z.begin(), work.z.end());
    }
    if (generation.temperature == 0.0) {
        std::int64_t token = std::find(work.z.begin(), work.z.end(), largest) - work.z.begin();
        return {token, 0.0, logp_full(token)};
    }
    // Scaled around the largest, so that a tiny temperature cannot overflow.
    for (double& z : work.z) z = (z - largest) / generation.temperature;
    bool few = generation.top_k > 0 && generation.top_k < std::ssize(logits);
    if (few) {
        detail::take_largest(generation.top_k, work);
        std::sort(work.candidates.begin(), work.candidates.end(), detail::lower_token);
    }
    if (generation.top_p < 1.0) {
        if (few)
            detail::keep_top_p_of_candidates(generation.top_p, work);
        else
            detail::keep_top_p_of_all(generation.top_p, work);
        few = true;
    }
    if (generation.min_p > 0.0) {
        double lowest = std::log(generation.min_p);
        if (few)
            std::erase_if(work.candidates, [&](const Candidate& c) { return c.z < lowest; });
        else
            std::replace_if(
                work.z.begin(), work.z.end(), [&](double z) { return z < lowest; }, detail::minus_infinity);
    }
    if (few) {
        double log_sum = std::log(detail::fill_candidate_weights(work, 0.0));
        work.weight.resize(work.candidates.size());
        const Candidate& drawn = work.candidates[detail::invert_cumulated(u, work.weight)];
        return {drawn.token, drawn.z - log_sum, logp_full(drawn.token)};
    }
    // Plain sampling draws from the weights that are there already.
    if (penalised || generation.temperature != 1.0 || generation.min_p > 0.0) sum = detail::fill_weights(work, 0.0);
    auto token = static_cast<std::int64_t>(detail::invert_cumulated(u, work.weight));
    return {token, work.z[static_cast<std::size_t>(token)] - std::log(sum), logp_full(token)};
}

/// The same for many rows in parallel. Shapes: logits [rows x vocabulary], u, result [rows]; the previous tokens of row
/// r are previous[offsets[r]] .. previous[offsets[r + 1] - 1], both empty for none. Errors: settings out of range,
/// sizes that do not fit, and those of sample_row with their row.
template <class Real, class Uniform, class Token = const std::int64_t>
void sample_rows(backend::Host& backend, std::span<Real> logits, std::int64_t vocabulary, const Generation& generation,
                 std::span<Uniform> u, std::span<Sampled> result, Offsets previous_offsets = {},
                 std::span<Token> previous = {}) {
    generation.validate();
    std::int64_t rows = detail::expect_rows(logits.size(), vocabulary);
    detail::expect_size("u", u.size(), rows);
    detail::expect_size("result", result.size(), rows);
    if (!previous_offsets.empty()) {
        detail::expect_size("offsets of the previous tokens", previous_offsets.size(), rows + 1);
        detail::expect_covered("previous", previous.size(), previous_offsets);
    }
    std::int64_t together = std::max<std::int64_t>(backend.grain / vocabulary, 1);
    std::int64_t pieces = (rows + together - 1) / together;
    // An exception must not leave a parallel region: the first row that failed is told of afterwards.
    std::vector<std::string> failure(static_cast<std::size_t>(pieces));
    parallel_for(backend, pieces, [&](std::int64_t piece) {
        SamplingWorkspace work;
        std::int64_t row = piece * together, end = std::min(rows, row + together);
        try {
            for (; row < end; ++row) {
                auto r = static_cast<std::size_t>(row);
                std::span<Token> before;
                if (!previous_offsets.empty())
                    before = previous.subspan(static_cast<std::size_t>(previous_offsets[r]),
                                              static_cast<std::size_t>(previous_offsets[r + 1] - previous_offsets[r]));
                result[r] = sample_row(
                    logits.subspan(r * static_cast<std::size_t>(vocabulary), static_cast<std::size_t>(vocabulary)),
                    generation, static_cast<double>(u[r]), work, before);
            }
        } catch (const Error& error) {
            failure[static_cast<std::size_t>(piece)] = "row " + std::to_string(row) + ": " + error.what();
        }
    });
    for (const std::string& message : failure) expect(message.empty(), message);
}

}  // namespace roars
