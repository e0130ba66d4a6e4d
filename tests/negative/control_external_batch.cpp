#include "roars/methods/grpo.hpp"

using namespace roars;

auto batch(Offsets tokens, Offsets groups, std::span<float> logp, const std::vector<float>& outcome) {
    auto complete_batch = complete<methods::Grpo>(view<float>(tokens, groups)
                                                      .borrow(col::logp{}, logp)
                                                      .borrow(col::logp_old{}, logp)
                                                      .borrow(col::logp_ref{}, logp)
                                                      .borrow(col::outcome{}, outcome));
    complete_batch[col::logp{}][0] = complete_batch[col::outcome{}][0];
    return complete_batch;
}
