// expect: column_needed_but_given_by_no_part_or_actor<.*columns<.*col::logp_ref> *>
#include "roars/methods/grpo.hpp"

using namespace roars;

auto batch(Offsets tokens, Offsets groups, std::span<float> logp, std::span<float> outcome) {
    return complete<methods::Grpo>(view<float>(tokens, groups)
                                       .borrow(col::logp{}, logp)
                                       .borrow(col::logp_old{}, logp)
                                       .borrow(col::outcome{}, outcome));
}
