// A new algorithm is a type made of five parts. The compiler works out which columns its batch has.
#include <cstdint>
#include <iostream>
#include <vector>

#include "roars/advantage/normalise.hpp"
#include "roars/optimizer/policy_gradient.hpp"
#include "roars/optimizer/step/adamw.hpp"
#include "roars/regularizer/kl.hpp"
#include "roars/regularizer/sum.hpp"
#include "roars/reward/outcome.hpp"
#include "roars/sampler/groups.hpp"

using namespace roars;

using Ours =
    Algorithm<sampler::Groups,         // several answers to each prompt
              reward::Verified,        // right or wrong
              advantage::LeaveOneOut,  // the other answers are the baseline
              regularizer::Sum<regularizer::Kl<kl::K3>, regularizer::EntropyBonus>,  // near the reference, spread out
              optimizer::PolicyGradient<surrogate::Clip, aggregate::TokenMean, step::AdamW>>;

int main() {
    Ours ours{
        .regularizer = {regularizer::Kl<kl::K3>{.coefficient = 0.02}, regularizer::EntropyBonus{.coefficient = 0.01}},
        .optimizer = {.surrogate = {.low = 0.2, .high = 0.3}}};

    auto print = [](const char* what, auto set) {
        std::cout << what;
        for_each_column(set, [](auto column) { std::cout << ' ' << column.name; });
        std::cout << '\n';
    };
    print("asks from outside:", Ours::Inputs{});
    print("parts give:       ", Ours::Gives{});
    print("has gradients of: ", Ours::Gradients{});

    const std::vector<std::int64_t> token_offsets{0, 2, 4}, prompts{0, 2};
    const std::vector<float> logp{-0.5f, -1.0f, -0.7f, -0.2f}, logp_old{-0.6f, -0.9f, -0.7f, -0.3f};
    const std::vector<float> logp_ref{-0.6f, -1.2f, -0.8f, -0.3f}, entropy{1.1f, 0.9f, 1.0f, 0.4f}, outcome{1, 0};
    auto batch = complete<Ours>(view<float>(token_offsets, prompts)
                                    .borrow(col::logp{}, logp)
                                    .borrow(col::logp_old{}, logp_old)
                                    .borrow(col::logp_ref{}, logp_ref)
                                    .borrow(col::entropy{}, entropy)
                                    .borrow(col::outcome{}, outcome));
    auto result = loss(ours, batch);
    std::cout << "loss " << result.loss() << '\n';
    result.for_each([](std::string_view name, double value) { std::cout << "  " << name << ' ' << value << '\n'; });
}
