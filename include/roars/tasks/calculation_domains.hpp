#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "roars/error.hpp"
#include "roars/fields.hpp"
#include "roars/tasks/random_calculation.hpp"

namespace roars::tasks {

/// What the problems of a domain are made of.
struct CalculationDomain {
    std::string_view name;
    LeafKinds leaves;
    std::string_view operators;
};
inline constexpr std::array<CalculationDomain, 4> calculation_domains{{
    {"sums", {.integer = true, .fraction = false, .square = false, .cube = false}, "+-"},
    {"products", {.integer = true, .fraction = false, .square = false, .cube = false}, "*"},
    {"fractions", {.integer = false, .fraction = true, .square = false, .cube = false}, "+-"},
    {"powers", {.integer = false, .fraction = false, .square = true, .cube = true}, "+-"},
}};

/// Difficulty is the number of operations, in every domain the same levels.
struct CalculationDomainsSettings {
    std::string domains = "sums,products,fractions,powers";
    std::int32_t largest_operand = 9;
    std::int32_t largest_denominator = 5;
    std::vector<std::int32_t> steps = {1, 2, 3};
    std::int64_t train_per_level = 60;  ///< of each domain and difficulty
    std::int64_t test_per_level = 20;
    std::int32_t decimals = 2;
};
ROARS_FIELDS(CalculationDomainsSettings, domains, largest_operand, largest_denominator, steps, train_per_level,
             test_per_level, decimals)

/// RandomCalculation in several domains and difficulties, for methods that mix, weigh or filter them. Problem indices
/// run over the training problems, domain by domain and level by level, then over the test problems likewise. Errors: a
/// domain that is not known, or named twice; what RandomCalculation refuses.
class CalculationDomains {
public:
    using Problem = RandomCalculation::Problem;

    explicit CalculationDomains(CalculationDomainsSettings settings = {}, std::uint64_t seed = 0)
        : settings_(std::move(settings)) {
        for (const CalculationDomain* domain : named(settings_.domains)) {
            RandomCalculationSettings of_domain;
            of_domain.largest_operand = settings_.largest_operand;
            of_domain.largest_denominator = settings_.largest_denominator;
            of_domain.leaves = domain->leaves;
            of_domain.operators = domain->operators;
            of_domain.steps = settings_.steps;
            of_domain.train_per_level = settings_.train_per_level;
            of_domain.test_per_level = settings_.test_per_level;
            of_domain.decimals = settings_.decimals;
            domains_.emplace_back(of_domain, seed);
            names_.push_back(domain->name);
        }
    }

    const CalculationDomainsSettings& settings() const { return settings_; }
    const Vocabulary& vocabulary() const { return domains_.front().vocabulary(); }
    std::int64_t domain_count() const { return std::ssize(domains_); }
    std::string_view domain_name(std::int64_t domain) const { return names_.at(static_cast<std::size_t>(domain)); }

    std::int64_t train_count() const { return domain_count() * domains_.front().train_count(); }
    std::int64_t test_count() const { return domain_count() * domains_.front().test_count(); }
    std::int64_t problem_count() const { return train_count() + test_count(); }
    const Problem& problem(std::int64_t index) const {
        auto [domain, within] = place(index);
        return domains_[domain].problem(within);
    }
    std::int64_t domain(std::int64_t index) const { return static_cast<std::int64_t>(place(index).domain); }
    std::int32_t difficulty(std::int64_t index) const { return problem(index).steps; }

    /// Indices of the training problems of a domain, and of one difficulty of it.
    std::vector<std::int64_t> train(std::int64_t domain) const { return of(0, train_count(), domain, nullptr); }
    std::vector<std::int64_t> train(std::int64_t domain, std::int32_t steps) const {
        return of(0, train_count(), domain, &steps);
    }
    /// The same of the held-out problems.
    std::vector<std::int64_t> test(std::int64_t domain) const {
        return of(train_count(), problem_count(), domain, nullptr);
    }
    std::vector<std::int64_t> test(std::int64_t domain, std::int32_t steps) const {
        return of(train_count(), problem_count(), domain, &steps);
    }

    std::int64_t longest_prompt() const { return longest(&RandomCalculation::longest_prompt); }
    std::int64_t longest_answer() const { return longest(&RandomCalculation::longest_answer); }
    double score(std::int64_t index, std::span<const std::int32_t> answer_tokens) const {
        auto [domain, within] = place(index);
        return domains_[domain].score(within, answer_tokens);
    }
    bool correct(std::int64_t index, std::span<const std::int32_t> answer_tokens) const {
        auto [domain, within] = place(index);
        return domains_[domain].correct(within, answer_tokens);
    }

private:
    static std::vector<const CalculationDomain*> named(const std::string& list) {
        std::vector<const CalculationDomain*> found;
        for (std::size_t begin = 0; begin <= list.size();) {
            std::size_t end = std::min(list.find(',', begin), list.size());
            std::string_view name = std::string_view(list).substr(begin, end - begin);
            auto domain = std::find_if(calculation_domains.begin(), calculation_domains.end(),
                                       [&](const CalculationDomain& each) { return each.name == name; });
            expect(domain != calculation_domains.end(), [&] {
                std::string known;
                for (const auto& each : calculation_domains) known += " " + std::string(each.name);
                return "calculation domains: no domain is named '" + std::string(name) + "', expected some of" + known;
            });
            expect(std::find(found.begin(), found.end(), &*domain) == found.end(),
                   [&] { return "calculation domains: the domain '" + std::string(name) + "' is named twice"; });
            found.push_back(&*domain);
            begin = end + 1;
        }
        return found;
    }

    struct Place {
        std::size_t domain;
        std::int64_t within;
    };
    Place place(std::int64_t index) const {
        expect(index >= 0 && index < problem_count(), [&] {
            return "calculation domains: problem " + std::to_string(index) + ", expected 0 to " +
                   std::to_string(problem_count() - 1);
        });
        const std::int64_t train = domains_.front().train_count(), test = domains_.front().test_count();
        if (index < train_count()) return {static_cast<std::size_t>(index / train), index % train};
        index -= train_count();
        return {static_cast<std::size_t>(index / test), train + index % test};
    }
    std::vector<std::int64_t> of(std::int64_t begin, std::int64_t end, std::int64_t domain,
                                 const std::int32_t* steps) const {
        expect(domain >= 0 && domain < domain_count(), [&] {
            return "calculation domains: domain " + std::to_string(domain) + ", expected 0 to " +
                   std::to_string(domain_count() - 1);
        });
        std::vector<std::int64_t> indices;
        for (std::int64_t i = begin; i < end; ++i)
            if (this->domain(i) == domain && (!steps || difficulty(i) == *steps)) indices.push_back(i);
        return indices;
    }
    std::int64_t longest(std::int64_t (RandomCalculation::*length)() const) const {
        std::int64_t most = 0;
        for (const RandomCalculation& each : domains_) most = std::max(most, (each.*length)());
        return most;
    }

    CalculationDomainsSettings settings_;
    std::vector<RandomCalculation> domains_;
    std::vector<std::string_view> names_;
};

}  // namespace roars::tasks
