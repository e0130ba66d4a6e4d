// A training engine of your own has log-probabilities and rewards in arrays; DAPO turns them into advantages, a loss
// and its gradient. Nothing is copied, and there is no actor, no task and no trainer here.
#include <cstdint>
#include <cstdio>
#include <vector>

#include "roars/methods/dapo.hpp"

using namespace roars;

int main() {
    // Two prompts, three answers to each. Answer i owns the tokens [token_offsets[i], token_offsets[i + 1]), prompt g
    // the answers [prompts[g], prompts[g + 1]); nothing is padded.
    const std::vector<std::int64_t> token_offsets{0, 3, 5, 9, 11, 14, 16}, prompts{0, 3, 6};
    const std::vector<float> logp{-0.9f, -1.1f, -0.2f, -2.0f, -0.7f, -0.3f, -1.6f, -0.8f,
                                  -0.5f, -1.2f, -0.4f, -0.6f, -1.9f, -1.0f, -0.1f, -2.3f};
    const std::vector<float> logp_old{-1.3f, -1.0f, -0.2f, -1.5f, -0.9f, -0.3f, -1.4f, -0.8f,
                                      -0.6f, -1.3f, -0.4f, -0.9f, -1.8f, -1.0f, -0.2f, -2.1f};
    const std::vector<float> rewards{1, 0, 1, 0, 0, 1};
    std::vector<float> gradient(logp.size());  // d loss / d logp, for the engine's own backward pass

    auto batch = complete<methods::Dapo>(view<float>(token_offsets, prompts)
                                             .borrow(col::logp{}, logp)
                                             .borrow(col::logp_old{}, logp_old)
                                             .borrow(col::outcome{}, rewards)
                                             .borrow(col::grad<col::logp>{}, gradient));

    auto dapo = methods::dapo;
    dapo.reward = {reward::Verified{}, reward::SoftOverlong{.max_length = 4, .buffer = 2}};
    dapo.optimizer.surrogate = {.low = 0.2, .high = 0.28};
    auto result = loss(dapo, batch);

    std::puts("answer  token   reward  advantage   gradient");
    for (std::size_t i = 0; i < rewards.size(); ++i)
        for (auto t = std::size_t(token_offsets[i]); t < std::size_t(token_offsets[i + 1]); ++t)
            std::printf("%6zu %6zu %8.3f %10.4f %10.5f\n", i, t, batch[col::reward{}][i], batch[col::advantage{}][t],
                        gradient[t]);
    result.for_each([](std::string_view name, double value) {
        std::printf("%-14.*s %8.5f\n", int(name.size()), name.data(), value);
    });
}
