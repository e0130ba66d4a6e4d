#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numeric>
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

/// Memory of sample_row, kept from row to row.
struct SamplingWorkspace {
    std::vector<double> z;       ///< filled up with -inf to whole lanes
    std::vector<double> weight;  ///< e^(z - max)
    std::vector<std::int64_t> order;
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

/// Errors: a logit of NaN or +inf, a row that allows no token.
template <class V = math::Lanes<double>, class Real>
void load_logits(std::span<Real> logits, SamplingWorkspace& work) {
    constexpr auto width = static_cast<std::size_t>(math::lanes<V>);
    work.z.assign((logits.size() + width - 1) / width * width, minus_infinity);
    bool any = false;
    for (std::size_t i = 0; i < logits.size(); ++i) {
        work.z[i] = static_cast<double>(logits[i]);
        any = any || work.z[i] != minus_infinity;
        expect(work.z[i] < std::numeric_limits<double>::infinity(), [&] {
            return "logit " + std::to_string(i) + " is " + std::to_string(work.z[i]) + ", expected a number or -inf";
        });
    }
    expect(any, "a row of logits allows no token: expected one above -inf");
}

template <class Token>
void penalise(std::span<Token> previous, double penalty, std::int64_t vocabulary, SamplingWorkspace& work) {
    if (penalty == 1.0 || previous.empty()) return;
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

/// The tokens that are still allowed, and their order: by falling z, then by index.
inline void list_allowed(SamplingWorkspace& work) {
    work.order.clear();
    for (std::size_t i = 0; i < work.z.size(); ++i)
        if (work.z[i] != minus_infinity) work.order.push_back(static_cast<std::int64_t>(i));
}
inline auto by_falling_z(const SamplingWorkspace& work) {
    return [&z = work.z](std::int64_t a, std::int64_t b) {
        double left = z[static_cast<std::size_t>(a)], right = z[static_cast<std::size_t>(b)];
        return left > right || (left == right && a < b);
    };
}

inline void keep_top_k(std::int64_t k, SamplingWorkspace& work) {
    list_allowed(work);
    if (k >= static_cast<std::int64_t>(work.order.size())) return;
    std::nth_element(work.order.begin(), work.order.begin() + k, work.order.end(), by_falling_z(work));
    std::for_each(work.order.begin() + k, work.order.end(),
                  [&](std::int64_t i) { work.z[static_cast<std::size_t>(i)] = minus_infinity; });
}

/// Sorts no more than it must: the first 64 tokens, then eight times as many, until the mass is reached.
inline void keep_top_p(double p, double max, SamplingWorkspace& work) {
    double wanted = p * fill_weights(work, max), mass = 0.0;
    list_allowed(work);
    auto begin = work.order.begin(), sorted = begin, at = begin;
    for (std::int64_t together = 64; at != work.order.end() && mass < wanted; together *= 8) {
        sorted += std::min<std::int64_t>(together, work.order.end() - sorted);
        if (sorted != work.order.end()) std::nth_element(at, sorted, work.order.end(), by_falling_z(work));
        std::sort(at, sorted, by_falling_z(work));
        for (; at != sorted && mass < wanted; ++at) mass += work.weight[static_cast<std::size_t>(*at)];
    }
    std::for_each(at, work.order.end(), [&](std::int64_t i) { work.z[static_cast<std::size_t>(i)] = minus_infinity; });
}

inline void keep_min_p(double p, double max, SamplingWorkspace& work) {
    double lowest = max + std::log(p);
    for (double& z : work.z)
        if (z < lowest) z = minus_infinity;
}

/// The first token whose cumulated weight, in index order, exceeds u of the total. Never one of weight 0.
inline std::int64_t invert_cumulated(double u, const std::vector<double>& weight) {
    double total = 0.0;
    for (double w : weight) total += w;
    double wanted = u * total, cumulated = 0.0;
    std::int64_t token = 0;
    for (std::size_t i = 0; i < weight.size(); ++i) {
        if (weight[i] == 0.0) continue;
        token = static_cast<std::int64_t>(i);
        cumulated += weight[i];
        if (cumulated > wanted) break;
    }
    return token;
}

}  // namespace detail

/// Draws from one row of logits with one uniform number u in [0, 1), by inverting the cumulated distribution in index
/// order and in double, so that the same u gives the same token on any backend. `previous`: the tokens that the
/// repetition penalty looks at. Errors: a logit of NaN or +inf, no token allowed. Settings are taken as validated.
template <class Real, class Token = const std::int64_t>
Sampled sample_row(std::span<Real> logits, const Generation& generation, double u, SamplingWorkspace& work,
                   std::span<Token> previous = {}) {
    detail::load_logits(logits, work);
    double full_max = *std::max_element(work.z.begin(), work.z.end());
    double full_log_sum = full_max + std::log(detail::fill_weights(work, full_max));
    auto logp_full = [&](std::int64_t token) {
        return static_cast<double>(logits[static_cast<std::size_t>(token)]) - full_log_sum;
    };
    detail::penalise(previous, generation.repetition_penalty, static_cast<std::int64_t>(logits.size()), work);
    auto largest = std::max_element(work.z.begin(), work.z.end());
    if (generation.temperature == 0.0) {
        std::int64_t token = largest - work.z.begin();
        return {token, 0.0, logp_full(token)};
    }
    // Scaled around the largest, so that a tiny temperature cannot overflow.
    for (double shift = *largest; double& z : work.z) z = (z - shift) / generation.temperature;
    if (generation.top_k > 0) detail::keep_top_k(generation.top_k, work);
    if (generation.top_p < 1.0) detail::keep_top_p(generation.top_p, 0.0, work);
    if (generation.min_p > 0.0) detail::keep_min_p(generation.min_p, 0.0, work);
    double sum = detail::fill_weights(work, 0.0);
    std::int64_t token = detail::invert_cumulated(u, work.weight);
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
